"""The packaged data: found by name, read fast, and in the order of names."""

from pathlib import Path

import pytest
import yaml

from breakfix.packaged import FAST_LOADER, data_file, parse_yaml, read_data, yaml_files


def test_a_packaged_file_is_read_by_its_place_in_the_data_folder():
    assert {"simulated.yaml", "redteam.yaml"} <= {each.name for each in yaml_files(data_file("personas"))}
    assert read_data("personas/simulated.yaml") == yaml.safe_load(data_file("personas/simulated.yaml").read_text())


def test_files_come_in_the_order_of_their_names_and_others_are_left_out(tmp_path: Path):
    for name in ("b.yaml", "a.yaml", "c.txt"):
        (tmp_path / name).write_text("- x")
    assert [each.name for each in yaml_files(tmp_path)] == ["a.yaml", "b.yaml"]


def test_fast_reading_is_safe_reading():
    assert FAST_LOADER in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", None))
    with pytest.raises(yaml.YAMLError):
        parse_yaml("!!python/object/apply:os.getcwd []")

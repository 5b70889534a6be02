# pyright: basic
"""A cache of keys and values with room to grow, so that a new token does not move all those before it.

The layers that transformers brings are joined anew at every token: a quarter of the time of a small model's answer.
Layers of other kinds (sliding windows, linear attention) are left as they are.
"""

from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 32
"""Tokens that fit before the layer is moved."""


def cache_with_room(config: Any) -> DynamicCache:
    """Make an empty cache for a model of this configuration."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


class RoomyLayer(DynamicLayer):
    """Keys and values as the front part of larger stores, batch x heads x tokens x size."""

    _stores: Any
    _length: int

    def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Add new tokens, in place while there is room; give all keys and values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._stores = (self.keys, self.values)
        held = self.get_seq_length()
        self._length = held + key_states.shape[-2]
        if not held or self._length > self._stores[0].shape[-2]:
            self._stores = (self._moved(self.keys, key_states), self._moved(self.values, value_states))
        for store, new in zip(self._stores, (key_states, value_states), strict=True):
            store[..., held : self._length, :] = new
        self._show()
        return self.keys, self.values

    def batch_select_indices(self, indices: Any) -> None:
        """Keep these rows of the batch only."""
        if self.get_seq_length() > 0:
            self._stores = tuple(store[indices] for store in self._stores)
            self._show()

    def _moved(self, old: Any, new: Any) -> Any:
        store = new.new_empty(*new.shape[:-2], self._length + ROOM, new.shape[-1])
        if old.numel():
            store[..., : old.shape[-2], :] = old
        return store

    def _show(self) -> None:
        self.keys, self.values = (store[..., : self._length, :] for store in self._stores)

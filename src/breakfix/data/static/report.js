"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const label = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  label();
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; label(); });
  // On paper nobody can open what is folded.
  addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details:not([open])")) { one.open = true; one.dataset.opened = ""; } });
  addEventListener("afterprint", () => { for (const one of document.querySelectorAll("details[data-opened]")) { one.open = false; delete one.dataset.opened; } });
  for (const reveal of document.querySelectorAll(".reveal")) {
    const veil = document.getElementById(reveal.getAttribute("aria-controls"));
    reveal.addEventListener("click", () => {
      const open = veil.classList.toggle("open");
      veil.setAttribute("aria-hidden", String(!open));
      reveal.setAttribute("aria-expanded", String(open));
      reveal.textContent = open ? "Hide the conversation" : "Show the conversation";
    });
  }
})();

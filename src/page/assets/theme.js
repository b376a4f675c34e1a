// Light, dark, or as the system has it. Loaded before the first paint, so that nothing flashes.
(() => {
  const KEY = "ccotel-theme";
  const read = () => {
    try { return localStorage.getItem(KEY); } catch { return null; }
  };
  const apply = (theme) => {
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  apply(read());
  window.ccotelTheme = {
    isDark() {
      const chosen = document.documentElement.dataset.theme;
      return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    },
    // What the system has anyway needs no choice to be kept.
    toggle() {
      const wanted = this.isDark() ? "light" : "dark";
      const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      apply(wanted === system ? null : wanted);
      try {
        if (wanted === system) localStorage.removeItem(KEY);
        else localStorage.setItem(KEY, wanted);
      } catch { /* for this tab only, then */ }
    },
  };
})();

"use strict";
(function () {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, inside) => Array.from((inside || document).querySelectorAll(selector));

  // Tabs: arrow keys move, Home and End jump, as the ARIA authoring practices have it.
  all(".tabs").forEach(function (group) {
    const tabs = all('[role="tab"]', group);
    const panels = all('[role="tabpanel"]', group);
    const choose = function (at, focus) {
      tabs.forEach(function (tab, i) {
        tab.setAttribute("aria-selected", String(i === at));
        tab.tabIndex = i === at ? 0 : -1;
        panels[i].classList.toggle("shut", i !== at);
      });
      if (focus) tabs[at].focus();
    };
    tabs.forEach(function (tab, at) {
      tab.addEventListener("click", () => choose(at, false));
      tab.addEventListener("keydown", function (event) {
        const last = tabs.length - 1;
        const next = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last };
        if (event.key in next) {
          event.preventDefault();
          choose(next[event.key], true);
        }
      });
    });
    choose(0, false);
  });

  // Sorting: figures by their number, all else as text.
  all("th .sort").forEach(function (button) {
    button.addEventListener("click", function () {
      const head = button.closest("th");
      const at = Array.from(head.parentNode.children).indexOf(head);
      const down = head.getAttribute("aria-sort") !== "descending" && head.classList.contains("figure");
      const up = head.getAttribute("aria-sort") === "descending" || (!down && head.getAttribute("aria-sort") !== "ascending");
      const way = up ? 1 : -1;
      all("th[aria-sort]", head.parentNode).forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
      const body = head.closest("table").tBodies[0];
      const rows = Array.from(body.rows).map(function (row, place) {
        const cell = row.cells[at];
        return { row: row, place: place, number: parseFloat(cell.dataset.sort), text: cell.textContent };
      });
      rows.sort(function (a, b) {
        const both = !isNaN(a.number) && !isNaN(b.number);
        const order = both ? a.number - b.number : a.text.localeCompare(b.text, undefined, { numeric: true });
        return way * order || a.place - b.place;
      });
      rows.forEach((one) => body.appendChild(one.row));
    });
  });

  // Map: layers on and off, and the flows of one site.
  const map = document.getElementById("map");
  all("[data-toggle]").forEach(function (box) {
    box.addEventListener("change", function () {
      all('[data-layer="' + box.dataset.toggle + '"]', map).forEach((part) => part.classList.toggle("off", !box.checked));
    });
  });
  const picker = document.getElementById("map-site");
  const pick = function (site) {
    map.classList.toggle("focused", site !== "");
    all(".chosen", map).forEach((part) => part.classList.remove("chosen"));
    if (site === "") return;
    all('[data-from="' + site + '"], [data-to="' + site + '"], [data-site="' + site + '"]', map).forEach((part) =>
      part.classList.add("chosen")
    );
  };
  if (picker) {
    picker.addEventListener("change", () => pick(picker.value));
    all("[data-site]", map).forEach(function (site) {
      site.addEventListener("click", function () {
        picker.value = picker.value === site.dataset.site ? "" : site.dataset.site;
        pick(picker.value);
      });
    });
  }

  // Navigation shows where the reader is.
  const links = all("nav a");
  if ("IntersectionObserver" in window) {
    const watch = new IntersectionObserver(
      function (entries) {
        entries.forEach(function (entry) {
          if (!entry.isIntersecting) return;
          links.forEach(function (link) {
            if (link.hash === "#" + entry.target.id) link.setAttribute("aria-current", "true");
            else link.removeAttribute("aria-current");
          });
        });
      },
      { rootMargin: "-15% 0px -75% 0px" }
    );
    all("main > section").forEach((part) => watch.observe(part));
  }

  // Light or dark: the system's choice until the button is used.
  const theme = document.getElementById("theme");
  const isDark = () =>
    root.classList.contains("dark") ||
    (!root.classList.contains("light") && matchMedia("(prefers-color-scheme: dark)").matches);
  const label = function () {
    theme.textContent = isDark() ? "Light" : "Dark";
    theme.setAttribute("aria-pressed", String(isDark()));
  };
  theme.addEventListener("click", function () {
    const dark = !isDark();
    root.classList.toggle("dark", dark);
    root.classList.toggle("light", !dark);
    label();
  });
  label();

  // On paper everything is open.
  window.addEventListener("beforeprint", () => all("details").forEach((one) => (one.open = true)));
})();

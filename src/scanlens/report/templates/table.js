"use strict";
(() => {
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const key = (row, place) => row.cells[place].dataset.sort ?? row.cells[place].textContent.trim();
    const compare = (a, b) => a.localeCompare(b, undefined, { numeric: true });
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const turn = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", turn === 1 ? "ascending" : "descending");
        body.append(...[...body.rows].sort((a, b) => turn * compare(key(a, place), key(b, place))));
      });
    });
    const filter = document.getElementById(table.dataset.filter), told = document.getElementById(table.dataset.told);
    if (!filter) continue;
    filter.addEventListener("input", () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      told.textContent = `${shown} of ${body.rows.length} cases`;
    });
    filter.closest(".filter").hidden = false;
  }
})();

// Sorts and filters the table that this script stands in; no globals, no ids, no requests.
(root => {
  const table = root.querySelector("table"), body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells], rows = [...body.rows];
  const told = root.querySelector(".vx-told"), field = root.querySelector(".vx-find input");
  const names = heads.map(head => head.textContent);
  const numeric = heads.map((_, k) => rows.some(row => row.cells[k].dataset.value));
  const found = (row, k) => {
    const cell = row.cells[k], value = cell.dataset.value;
    return value === undefined ? cell.textContent : value === "" ? null : Number(value);
  };
  const order = (a, b) =>
    typeof a == "number" && typeof b == "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  const sort = k => {
    const was = heads[k].getAttribute("aria-sort");
    const down = was == "none" ? numeric[k] : was == "ascending";
    const keyed = rows.map(row => [found(row, k), row]);
    keyed.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : down ? order(b, a) : order(a, b));
    body.append(...keyed.map(([, row]) => row));
    heads.forEach((head, i) => head.setAttribute("aria-sort", i != k ? "none" : down ? "descending" : "ascending"));
    told.textContent = `Sorted by ${names[k]}, ${down ? "descending" : "ascending"}.`;
  };
  heads.forEach((head, k) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = names[k];
    button.onclick = () => sort(k);
    head.replaceChildren(button);
    head.classList.toggle("vx-text", !numeric[k]);
    head.setAttribute("aria-sort", "none");
  });
  if (field) {
    field.oninput = () => {
      const wanted = field.value.trim().toLowerCase();
      let count = 0;
      rows.forEach(row => {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        count += !row.hidden;
      });
      told.textContent = `${count} of ${rows.length} rows.`;
    };
    field.closest("label").hidden = false;
  }
})(document.currentScript.parentNode);

// Shows the chosen figure of the choice that this script stands in; no globals, no ids, no requests.
(root => {
  const lists = [...root.querySelectorAll(":scope > .vx-lists select")];
  const parts = [...root.querySelectorAll(":scope > .vx-option")];
  const keys = parts.map(part => part.dataset.key.split(" ").map(Number));
  const show = () => {
    const open = new Set(keys);
    lists.forEach((list, i) => {
      const left = new Set([...open].map(key => key[i]));
      [...list.options].forEach((option, k) => { option.disabled = !left.has(k); });
      if (!left.has(list.selectedIndex)) list.selectedIndex = Math.min(...left);
      for (const key of open) if (key[i] != list.selectedIndex) open.delete(key);
    });
    parts.forEach((part, k) => part.classList.toggle("vx-chosen", open.has(keys[k])));
  };
  lists.forEach(list => { list.onchange = show; });
  show();
  root.classList.add("vx-chooses");
})(document.currentScript.parentNode);

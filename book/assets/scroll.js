// What scrolls sideways, on a narrow screen, can be reached and moved with the keyboard.
(() => {
  const mark = () => {
    for (const part of document.querySelectorAll("article table, article .vx-equation")) {
      const scrolls = /auto|scroll/.test(getComputedStyle(part).overflowX);
      if (scrolls && part.scrollWidth > part.clientWidth) part.tabIndex = 0;
      else part.removeAttribute("tabindex");
    }
  };
  addEventListener("load", mark);
  addEventListener("resize", mark);
})();

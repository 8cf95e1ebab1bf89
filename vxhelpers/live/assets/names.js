// Names for controls that ipywidgets gives none: sliders' handles, and the buttons of a player.
const BUTTONS = ["Play or pause", "Stop", "Repeat"];

function render({ el }) {
    let root = null;
    const name = () => {
        for (const slider of root.querySelectorAll(".widget-slider")) {
            const label = slider.querySelector(".widget-label")?.textContent;
            const handle = slider.querySelector(".noUi-handle");
            if (label && handle) handle.setAttribute("aria-label", label);
        }
        for (const player of root.querySelectorAll(".widget-play"))
            player.querySelectorAll("button").forEach(
                (button, k) => button.setAttribute("aria-label", BUTTONS[k]));
    };
    const watcher = new MutationObserver(name);
    const begin = () => {
        root = el.closest(".vx-named");
        if (root) {
            name();
            watcher.observe(root, { childList: true, subtree: true });
        } else waiting = requestAnimationFrame(begin);
    };
    let waiting = requestAnimationFrame(begin);
    return () => { cancelAnimationFrame(waiting); watcher.disconnect(); };
}

export default { render };

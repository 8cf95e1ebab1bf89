// Starts the players that stand beside this script, each once it is shown and comes near the view;
// no globals, no ids, no requests.
(script => {
  const surface = (w, h) => Object.assign(document.createElement("canvas"), {width: w, height: h});
  const pen = canvas => canvas.getContext("2d", {willReadFrequently: true});

  const start = async root => {
    const c = JSON.parse(root.dataset.config), q = s => root.querySelector(s);
    const sheet = q(".vx-sheet"), heat = q(".vx-heat"), slider = q(".vx-frame"), time = q(".vx-time");
    const button = q(".vx-play"), opacity = q(".vx-opacity"), outlines = q(".vx-outlines");
    const views = [...root.querySelectorAll(".vx-view canvas")], readout = q(".vx-value");
    await Promise.all([sheet, heat].map(image => image && image.decode()));

    const cut = (image, i, [w, h]) => {
      const tile = surface(w, h);
      pen(tile).drawImage(image, -(i % c.columns) * w, -Math.floor(i / c.columns) * h);
      return tile;
    };
    const each = make => Array.from({length: c.frames}, (_, i) => make(i));
    const frames = each(i => cut(sheet, i, c.tile)), levels = [];
    const table = heat && Uint8Array.from(atob(c.table), s => s.charCodeAt(0));
    const colour = tile => {
      const g = pen(tile), pixels = g.getImageData(0, 0, tile.width, tile.height);
      levels.push(pixels.data.filter((_, k) => k % 4 == 0));
      levels.at(-1).forEach((v, k) => pixels.data.set(table.subarray(4 * v, 4 * v + 4), 4 * k));
      g.putImageData(pixels, 0, 0);
      return tile;
    };
    const heats = heat ? each(i => colour(cut(heat, i, c.heat))) : [];
    if (heat) pen(q(".vx-bar")).putImageData(
      new ImageData(new Uint8ClampedArray(table), table.length / 4), 0, 0);

    const draw = () => {
      const i = +slider.value, a = heat ? +opacity.value : 0;
      views.forEach((view, k) => {
        const g = pen(view), w = view.width, h = view.height, last = k == views.length - 1;
        g.imageSmoothingQuality = "high";
        g.drawImage(frames[i], 0, 0, w, h);
        if (last && a > 0) {
          g.globalAlpha = c.desaturate * a;
          g.globalCompositeOperation = "saturation";
          g.fillStyle = "#808080";
          g.fillRect(0, 0, w, h);
          g.globalCompositeOperation = "source-over";
          g.globalAlpha = a;
          g.drawImage(heats[i], 0, 0, w, h);
          g.globalAlpha = 1;
        }
        if (last && outlines && outlines.checked) {
          g.save();
          g.scale(w / c.size[0], h / c.size[1]);
          for (const [pass, width] of [["#000", 3.2], [null, 1.6]]) for (const o of c.outlines) {
            g.strokeStyle = pass || o.colour;
            g.lineWidth = width * c.size[0] / 336;
            g.lineJoin = "round";
            g.stroke(new Path2D(o.paths[i]));
          }
          g.restore();
        }
      });
      const at = (c.start + i / c.fps).toFixed(2);
      time.textContent = `${i + 1}/${c.frames} · ${at} s`;
      slider.setAttribute("aria-valuetext", `frame ${i + 1} of ${c.frames}, ${at} seconds`);
    };

    let timer = 0;
    const play = on => {
      clearTimeout(timer);
      timer = 0;
      button.textContent = on ? "❚❚ Pause" : "▶\uFE0E Play";
      const step = () => {
        if (!root.isConnected) return;
        slider.value = (+slider.value + 1) % c.frames;
        draw();
        timer = setTimeout(step, 1000 / c.fps / +q(".vx-speed").value);
      };
      if (on) step();
    };
    button.onclick = () => play(!timer);
    slider.oninput = () => { play(false); draw(); };
    for (const input of [opacity, outlines]) if (input) input.oninput = draw;
    if (heat) {
      const view = views.at(-1), [w, h] = c.heat, digits = Math.min(12, Math.max(0, 2 - Math.floor(Math.log10(c.hi))));
      view.onpointermove = e => {
        const x = Math.min(w - 1, Math.floor(e.offsetX / view.clientWidth * w));
        const y = Math.min(h - 1, Math.floor(e.offsetY / view.clientHeight * h));
        const v = c.lo + levels[+slider.value][Math.max(0, y) * w + Math.max(0, x)] * (c.hi - c.lo) / 254;
        readout.textContent = `here: ${v.toFixed(digits).replace("-", "−")}`;
      };
      view.onpointerleave = () => { readout.textContent = ""; };
    }
    play(false);
    draw();
    root.classList.add("vx-on");
  };
  const near = new IntersectionObserver(seen => seen.forEach(({isIntersecting, target}) => {
    if (isIntersecting) { near.unobserve(target); start(target); }
  }), {rootMargin: "900px"});
  script.parentNode.querySelectorAll(".vx-player:not(.vx-on)").forEach(root => near.observe(root));
})(document.currentScript);

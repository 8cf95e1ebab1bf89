// Reviews concept clips. A page gives `start` an element, `ask`, which sends a message and promises
// the answer, how to begin again, and whether to take the focus; nothing moves on before a decision
// is known to be on disk.
const NAMES = {a: "accept", r: "reject", s: "skip", u: "undo"};
const KEYS = {ArrowLeft: "previous", ArrowRight: "next", " ": "play"};

const make = (tag, classes, ...content) => {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  element.append(...content);
  return element;
};

const key = name => make("kbd", "", name);

const button = (name, classes, keys, ...content) => {
  const element = make("button", classes, ...content);
  element.type = "button";
  element.dataset.do = name;
  element.setAttribute("aria-keyshortcuts", keys);
  return element;
};

export const start = (root, ask, again, focus) => {
  const title = make("h2", "vx-title"), progress = make("progress", "vx-progress");
  const status = make("p", "vx-status"), alarm = make("p", "vx-alarm");
  const label = make("strong", "vx-label"), id = make("span", "vx-id"), badge = make("span", "vx-badge");
  const canvas = make("canvas", ""), problem = make("p", "vx-problem"), note = make("span", "vx-note");
  const figure = make("figure", "vx-clip", make("div", "vx-screen", canvas, problem), make("figcaption", "", label, badge, id, note));
  const play = button("play", "vx-play", "Space");
  const speed = make("select", "vx-speed");
  for (const x of [0.25, 0.5, 1, 2]) speed.append(new Option(`${x}×`, x, x == 1, x == 1));
  const decide = make("div", "vx-decide",
    button("accept", "vx-accept", "A", "Accept ", key("A")), button("reject", "vx-reject", "R", "Reject ", key("R")),
    button("skip", "", "S", "Skip ", key("S")), button("undo", "", "U", "Undo ", key("U")));
  const more = make("div", "vx-more", play, make("label", "", "Speed ", speed),
    button("previous", "", "ArrowLeft", "Previous ", key("←")), button("next", "", "ArrowRight", "Next ", key("→")));
  const foot = make("p", "vx-foot");
  progress.setAttribute("aria-label", "clips decided");
  status.setAttribute("role", "status");
  alarm.setAttribute("role", "alert");
  figure.setAttribute("role", "group");
  canvas.setAttribute("role", "img");
  decide.setAttribute("role", "group");
  decide.setAttribute("aria-label", "decision");
  more.setAttribute("role", "group");
  more.setAttribute("aria-label", "playing");
  figure.tabIndex = root.tabIndex = -1;
  root.classList.add("vx-review");
  root.setAttribute("role", "group");
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  root.replaceChildren(title, progress, status, alarm, figure, decide, more, foot);

  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const pictures = new Map();
  let state = null, shown = null, busy = true, playing = !still.matches, frame = 0, timer = 0, ended = false;

  const picture = clip_id => {
    if (!pictures.has(clip_id)) {
      if (pictures.size > 7) pictures.delete(pictures.keys().next().value);
      const asked = ask({do: "picture", clip_id}).then(async answer => {
        if (!answer.image) return answer;
        answer.sheet = new Image();
        answer.sheet.src = answer.image;
        await answer.sheet.decode();
        return answer;
      });
      pictures.set(clip_id, asked);
      asked.catch(() => pictures.delete(clip_id));
    }
    return pictures.get(clip_id);
  };

  const draw = () => {
    const [w, h] = shown.tile, g = canvas.getContext("2d");
    const x = frame % shown.columns * w, y = Math.floor(frame / shown.columns) * h;
    g.imageSmoothingQuality = "high";
    g.drawImage(shown.sheet, x, y, w, h, 0, 0, canvas.width, canvas.height);
  };

  const tick = () => {
    clearTimeout(timer);
    if (ended || !playing || !shown || !shown.sheet) return;
    if (root.isConnected && !document.hidden) {
      frame = (frame + 1) % shown.frames;
      draw();
    }
    timer = setTimeout(tick, 1000 / shown.fps / +speed.value);
  };

  const setPlaying = on => {
    playing = on;
    play.replaceChildren(on ? "Pause " : "Play ", key("Space"));
    tick();
  };

  const describe = () => {
    const left = state.skipped + state.unseen;
    title.textContent = state.title;
    progress.max = state.total;
    progress.value = state.total - left;
    label.textContent = state.label;
    id.textContent = state.clip_id;
    badge.textContent = state.decision;
    badge.dataset.decision = state.decision;
    badge.hidden = !state.decision;
    figure.setAttribute("aria-label", `Clip ${state.position} of ${state.total}: ${state.label}, ` +
      `${state.clip_id}${state.decision ? ", " + state.decision : ""}`);
    status.textContent = (state.said ? `${state.said} and saved. ` : "") +
      `Clip ${state.position} of ${state.total}. ${state.accepted} accepted, ${state.rejected} rejected, ` +
      `${state.skipped} skipped, ${state.unseen} not seen yet.` +
      (state.done ? " Every clip is decided; nothing is left to do." : "");
    foot.textContent = `Decisions ${state.reviewer ? `of ${state.reviewer} ` : ""}are saved in ${state.file}, each at once.`;
  };

  const show = async next => {
    const moved = !state || state.clip_id != next.clip_id;
    state = next;
    describe();
    const wanted = await picture(state.clip_id);
    if (moved || !shown) {
      shown = wanted;
      frame = 0;
      const broken = shown.problem || shown.error;
      canvas.hidden = !!broken;
      problem.hidden = !broken;
      problem.textContent = broken ? `This clip cannot be shown. ${broken}` : "";
      note.textContent = shown.note || "";
      if (!broken) {
        const [w, h] = shown.tile, factor = Math.max(1, Math.ceil(448 / Math.max(w, h)));
        Object.assign(canvas, {width: w * factor, height: h * factor});
        canvas.setAttribute("aria-label", `${state.label}: ${shown.frames} frames, ` +
          `${(shown.frames / shown.fps).toFixed(1)} seconds, in a loop`);
        draw();
        tick();
      }
    }
    if (state.ahead) picture(state.ahead).catch(() => {});
  };

  const act = async (message, take) => {
    busy = true;
    root.setAttribute("aria-busy", "true");
    const slow = setTimeout(() => {
      alarm.textContent = `No answer yet. Every decision that was shown as saved is on disk. ${again}`;
    }, 4000);
    try {
      const answer = await ask(message);
      alarm.textContent = answer.error || "";
      if (!answer.error) {
        await show(answer);
        alarm.textContent = "";
        if (take) figure.focus({preventScroll: true});
      }
    } catch {
      alarm.textContent = `No answer. Every decision that was shown as saved is on disk. ${again}`;
    } finally {
      clearTimeout(slow);
      busy = false;
      root.removeAttribute("aria-busy");
    }
  };

  const perform = name => {
    if (name == "play") return setPlaying(!playing);
    if (busy || !state) return;
    if (name == "previous" || name == "next") act({do: "show", clip_id: state[name]}, true);
    else act({do: name, clip_id: state.clip_id}, true);
  };

  root.onclick = event => {
    const pressed = event.target.closest("button");
    if (pressed) perform(pressed.dataset.do);
  };
  root.onkeydown = event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const name = NAMES[event.key.toLowerCase()] || KEYS[event.key];
    const own = name == "play" ? "button, select" : "select";
    if (!name || event.target.closest(own)) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) perform(name);
  };
  setPlaying(playing);
  act({do: "open"}, focus);
  return () => { ended = true; clearTimeout(timer); };
};

// The notebook's side: messages over the widget's channel, numbered, since all views share it.
export default {
  render({model, el}) {
    const waiting = new Map(), view = Math.random().toString(36).slice(2);
    const hear = message => {
      if (message.view != view || !waiting.has(message.number)) return;
      waiting.get(message.number)(message.answer);
      waiting.delete(message.number);
    };
    let number = 0;
    const ask = message => new Promise(resolve => {
      waiting.set(++number, resolve);
      model.send({view, number, message});
    });
    const root = document.createElement("div");
    el.append(root);
    model.on("msg:custom", hear);
    const end = start(root, ask, "Wait if a cell is running; if the kernel was restarted, run this cell " +
      "again to go on from there.", false);
    return () => { end(); model.off("msg:custom", hear); };
  },
};

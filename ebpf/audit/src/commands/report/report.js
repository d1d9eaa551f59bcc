(() => {
  'use strict';
  const root = document.documentElement;
  const find = (id) => document.getElementById(id);
  const all = (query) => [...document.querySelectorAll(query)];
  const time = find('time'), plot = find('plot'), ticks = find('ticks'), form = find('tools');
  const rows = all('tr[data-c]'), marks = all('.mark'), bars = all('.bar'), lanes = all('.lane[data-p]');
  const others = all('main tr[data-p]:not([data-c])');
  const chips = all('[data-class]');
  const state = { classes: new Set(), process: '', type: '', from: 0, to: 1 };
  const whole = () => state.from === 0 && state.to === 1;

  // Removes the titles: native tooltips would repeat them.
  for (const mark of marks) {
    const title = mark.querySelector('title');
    mark.setAttribute('aria-label', title.textContent);
    title.remove();
  }

  const is = (element, process) => {
    if (process === '') return true;
    const id = element.dataset.p || '';
    if (/^[0-9]+$/.test(process)) return id.startsWith(process + '.');
    if (/^[0-9]+\.[0-9]+$/.test(process)) return id === process;
    return (element.dataset.n || '').toLowerCase().includes(process.toLowerCase());
  };
  const passes = (element) =>
    (state.classes.size === 0 || state.classes.has(element.dataset.c)) &&
    (state.type === '' || element.dataset.t.split(' ').includes(state.type)) &&
    is(element, state.process);

  const filter = () => {
    let shown = 0;
    for (const row of rows) {
      row.hidden = !passes(row);
      shown += row.hidden ? 0 : 1;
    }
    for (const mark of marks) mark.classList.toggle('gone', !passes(mark));
    for (const row of others) row.hidden = !is(row, state.process);
    for (const line of [...lanes, ...bars]) line.classList.toggle('off', !is(line, state.process));
    for (const chip of chips) chip.setAttribute('aria-pressed', state.classes.has(chip.dataset.class));
    if (form && document.activeElement !== find('process')) find('process').value = state.process;
    if (form) find('type').value = state.type;
    const filtered = state.classes.size > 0 || state.process !== '' || state.type !== '';
    find('shown').textContent = filtered ? `${shown} of ${rows.length} events are shown.` : '';
    root.dataset.rows = rows.length;
    root.dataset.shown = shown;
  };

  // The part of the time line that is shown, as fractions of the whole.
  const STEPS = [];
  for (let power = 0; power < 9; power++) for (const digit of [1, 2, 5]) STEPS.push(digit * 10 ** power);
  for (const seconds of [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400]) {
    STEPS.push(seconds * 1e9);
  }
  const pad = (number, digits) => String(number).padStart(digits, '0');
  const label = (ms, ns, step) => {
    const at = new Date(ms);
    const minute = pad(at.getUTCHours(), 2) + ':' + pad(at.getUTCMinutes(), 2);
    const second = pad(at.getUTCSeconds(), 2);
    if (step >= 6e10) return minute;
    if (step >= 1e9) return minute + ':' + second;
    if (step >= 1e6) return minute + ':' + second + '.' + pad(at.getUTCMilliseconds(), 3);
    return second + '.' + pad(at.getUTCMilliseconds(), 3) + pad(step >= 1e3 ? Math.floor(ns / 1e3) : ns, step >= 1e3 ? 3 : 6);
  };
  const svg = (name, attributes, text) => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const place = (x) => (Number(x) - state.from) / (state.to - state.from) * 100;
  const zoom = () => {
    const at = (x) => place(x).toFixed(4) + '%';
    for (const mark of marks) {
      const x = at(mark.dataset.x);
      const outside = place(mark.dataset.x) < -1 || place(mark.dataset.x) > 101;
      for (const child of mark.children) {
        for (const name of ['x', 'x1', 'x2']) if (child.hasAttribute(name)) child.setAttribute(name, x);
      }
      mark.classList.toggle('away', outside);
    }
    for (const bar of bars) {
      // Far outside of what is shown, browsers draw lines wrongly.
      const bound = (x) => Math.max(-5, Math.min(105, place(x))).toFixed(4) + '%';
      bar.setAttribute('x1', bound(bar.dataset.x));
      bar.setAttribute('x2', bound(bar.dataset.y));
    }
    const length = Number(time.dataset.length), wall = Number(time.dataset.wall);
    // Two per cent of the width are margins.
    const ns = (x) => (x - 0.01) / 0.98 * length;
    const first = ns(state.from), last = ns(state.to);
    const room = Math.max(2, Math.min(8, Math.floor(plot.clientWidth / 130)));
    const step = STEPS.find((step) => (last - first) / step <= room) || 86400e9;
    const height = plot.querySelector('svg').getAttribute('height');
    ticks.replaceChildren();
    // Counted from the whole second before, so that it stays exact.
    const second = Math.floor(wall / 1000) * 1000, offset = (wall - second) * 1e6;
    const day = step > 1e9 ? (second % 86400000) * 1e6 : 0;
    let tick = Math.ceil((day + offset + Math.max(first, 0)) / step) * step - day - offset;
    for (; tick <= Math.min(last, length); tick += step) {
      const x = place(0.01 + 0.98 * tick / length);
      const since = tick + offset;
      const text = label(second + Math.floor(since / 1e6), Math.round(since % 1e6), step);
      ticks.append(svg('line', { x1: x + '%', x2: x + '%', y1: 18, y2: height }));
      const anchor = x > 94 ? 'end' : x < 6 ? 'start' : 'middle';
      ticks.append(svg('text', { x: x + '%', y: 12, 'text-anchor': anchor }, text));
    }
    root.dataset.ticks = ticks.querySelectorAll('text').length;
  };
  const show = (from, to) => {
    const width = Math.min(1, Math.max(1e-7, to - from));
    state.from = Math.max(0, Math.min(1 - width, from));
    state.to = state.from + width;
    if (state.to > 1 - 1e-9 && state.from < 1e-9) [state.from, state.to] = [0, 1];
  };

  const write = () => {
    const parts = [];
    if (state.classes.size) parts.push('class=' + [...state.classes].join(','));
    if (state.process) parts.push('process=' + encodeURIComponent(state.process));
    if (state.type) parts.push('type=' + state.type);
    if (!whole()) parts.push('part=' + state.from.toFixed(7) + '-' + state.to.toFixed(7));
    history.replaceState(null, '', parts.length ? '#' + parts.join('&') : location.pathname + location.search);
    filter();
    if (time) zoom();
  };
  const read = () => {
    // A place in the page is no filter.
    if (location.hash !== '' && !location.hash.includes('=')) return;
    const given = new URLSearchParams(location.hash.slice(1));
    const known = new Set(chips.map((chip) => chip.dataset.class));
    state.classes = new Set((given.get('class') || '').split(',').filter((name) => known.has(name)));
    state.process = given.get('process') || '';
    const types = form ? [...find('type').options].map((option) => option.value) : [];
    state.type = types.includes(given.get('type')) ? given.get('type') : '';
    const part = /^(0(?:\.\d+)?|1)-(0(?:\.\d+)?|1(?:\.0+)?)$/.exec(given.get('part') || '');
    if (part && Number(part[1]) < Number(part[2])) show(Number(part[1]), Number(part[2]));
    else [state.from, state.to] = [0, 1];
  };

  if (time) {
    for (const chip of chips) {
      chip.addEventListener('click', () => {
        const name = chip.dataset.class;
        if (!state.classes.delete(name)) state.classes.add(name);
        write();
      });
    }
    find('process').addEventListener('input', (event) => { state.process = event.target.value.trim(); write(); });
    find('type').addEventListener('change', (event) => { state.type = event.target.value; write(); });
    form.addEventListener('submit', (event) => event.preventDefault());
    find('reset').addEventListener('click', () => {
      Object.assign(state, { classes: new Set(), process: '', type: '', from: 0, to: 1 });
      find('process').value = '';
      write();
    });
    for (const lane of lanes) {
      lane.addEventListener('click', () => {
        state.process = state.process === lane.dataset.p ? '' : lane.dataset.p;
        write();
      });
    }
    const step = (what, around) => {
      const width = state.to - state.from;
      if (what === 'in') show(around - width / 4, around + width / 4);
      if (what === 'out') show(around - width, around + width);
      if (what === 'left') show(state.from - width / 4, state.to - width / 4);
      if (what === 'right') show(state.from + width / 4, state.to + width / 4);
      write();
    };
    for (const button of all('[data-zoom]')) {
      button.addEventListener('click', () => step(button.dataset.zoom, (state.from + state.to) / 2));
    }

    const tip = document.createElement('div');
    tip.className = 'tip';
    tip.hidden = true;
    const drag = document.createElement('div');
    drag.className = 'drag';
    drag.hidden = true;
    plot.append(tip, drag);
    const card = document.createElement('div');
    card.className = 'card';
    card.hidden = true;
    time.after(card);

    const at = (event) => {
      const box = plot.getBoundingClientRect();
      return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
    };
    plot.addEventListener('pointerover', (event) => {
      const mark = event.target.closest('.mark');
      tip.hidden = !mark;
      if (!mark) return;
      tip.textContent = mark.getAttribute('aria-label');
      const box = plot.getBoundingClientRect(), own = mark.getBoundingClientRect();
      const x = own.left + own.width / 2 - box.left;
      tip.style.left = tip.style.right = 'auto';
      if (x < box.width / 2) tip.style.left = Math.max(0, x + 12) + 'px';
      else tip.style.right = Math.max(0, box.width - x + 12) + 'px';
      const y = event.clientY - box.top;
      tip.style.top = Math.max(0, y < box.height / 2 ? y + 12 : y - 12 - tip.offsetHeight) + 'px';
    });
    plot.addEventListener('pointerleave', () => { tip.hidden = true; });

    let begun = null;
    plot.addEventListener('pointerdown', (event) => {
      if (event.button === 0 && !event.target.closest('.mark')) begun = at(event);
    });
    addEventListener('pointermove', (event) => {
      if (begun === null) return;
      const [left, right] = [begun, at(event)].sort((a, b) => a - b);
      drag.hidden = false;
      drag.style.left = left * 100 + '%';
      drag.style.width = (right - left) * 100 + '%';
    });
    addEventListener('pointerup', (event) => {
      if (begun === null) return;
      const [left, right] = [begun, at(event)].sort((a, b) => a - b);
      begun = null;
      drag.hidden = true;
      if (right - left < 0.005) return;
      const width = state.to - state.from, from = state.from;
      show(from + left * width, from + right * width);
      write();
    });
    plot.addEventListener('dblclick', () => { [state.from, state.to] = [0, 1]; write(); });
    plot.addEventListener('wheel', (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      step(event.deltaY < 0 ? 'in' : 'out', state.from + at(event) * (state.to - state.from));
    }, { passive: false });

    // A mark opens the row of its event beneath the time line.
    plot.addEventListener('click', (event) => {
      const mark = event.target.closest('.mark');
      if (!mark) return;
      event.preventDefault();
      const row = document.querySelector(mark.getAttribute('href'));
      for (const other of all('.mark.at')) other.classList.remove('at');
      mark.classList.add('at');
      const head = [...row.closest('table').querySelectorAll('th')];
      const list = document.createElement('dl');
      [...row.cells].forEach((cell, number) => {
        const name = document.createElement('dt'), value = document.createElement('dd');
        name.textContent = head[number].textContent;
        value.append(...[...cell.cloneNode(true).childNodes]);
        for (const details of value.querySelectorAll('details')) details.open = true;
        if (value.textContent.trim() !== '') list.append(name, value);
      });
      card.replaceChildren(list);
      card.hidden = false;
    });
  }

  addEventListener('hashchange', () => { read(); filter(); if (time) zoom(); });
  addEventListener('resize', () => { if (time) zoom(); });
  root.classList.add('js');
  read();
  filter();
  if (time) zoom();
  root.dataset.ready = 'yes';
})();

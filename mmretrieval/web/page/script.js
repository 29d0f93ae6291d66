// What the page does in the browser: the picture of a query, the larger view, scrolling, the link, light and dark.
// Everything is wired by data-mm attributes; nothing here ranks, and nothing is fetched but pictures and uploads.
(() => {
  'use strict';
  if (window.mmGallery) return; // Gradio puts what stands in the head there twice
  const UPLOADS = 'api/v1/uploads';
  const root = document.documentElement;
  const within = (event, selector) => event.target instanceof Element && event.target.closest(selector);

  // Light and dark: what the visitor chose, else what the system says.
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const remembered = () => { try { return localStorage.getItem('mm-theme'); } catch { return null; } };
  const paint = () => {
    const isDark = (remembered() || (dark.matches ? 'dark' : 'light')) === 'dark';
    document.body.classList.toggle('dark', isDark);
    root.style.colorScheme = isDark ? 'dark' : 'light';
  };
  const turn = () => {
    const next = document.body.classList.contains('dark') ? 'light' : 'dark';
    try { localStorage.setItem('mm-theme', next); } catch { /* a private window remembers nothing */ }
    paint();
  };

  const say = (sentence) => {
    const line = document.querySelector('#mm-status .mm-status');
    if (!line) return;
    line.textContent = sentence;
    line.classList.add('mm-wrong');
    line.setAttribute('role', 'alert');
  };
  const busy = (is) => document.body.classList.toggle('mm-busy', is);

  // The picture of the query: chosen, pasted, or dropped anywhere.
  let give = null;
  const upload = async (file) => {
    if (!give || !file) return;
    if (!file.type.startsWith('image/')) { say('This file is no picture: give a JPEG, PNG, WebP or another picture.'); return; }
    busy(true);
    try {
      const body = new FormData();
      body.append('picture', file);
      const answer = await fetch(UPLOADS, { method: 'POST', body });
      const told = await answer.json();
      if (answer.ok) give('sent', { token: told.token });
      else say(told.errors ? told.errors.join(' ') : 'The picture could not be taken.');
    } catch {
      say('The server could not be reached: is it still running?');
    } finally {
      busy(false);
    }
  };
  window.mmPicture = (element, trigger) => {
    give = trigger;
    element.addEventListener('change', (event) => {
      const chosen = event.target.files && event.target.files[0];
      upload(chosen);
      event.target.value = '';
    });
    element.addEventListener('click', (event) => { if (within(event, '[data-mm=clear]')) trigger('cleared', {}); });
  };
  addEventListener('paste', (event) => {
    const file = [...(event.clipboardData ? event.clipboardData.files : [])].find((each) => each.type.startsWith('image/'));
    if (file) { event.preventDefault(); upload(file); }
  });
  let depth = 0;
  const hasFile = (event) => event.dataTransfer && [...event.dataTransfer.types].includes('Files');
  const dropping = (is) => document.body.classList.toggle('mm-dropping', is);
  addEventListener('dragenter', (event) => { if (hasFile(event)) { depth += 1; dropping(true); } });
  addEventListener('dragleave', (event) => { if (hasFile(event)) { depth -= 1; if (depth <= 0) { depth = 0; dropping(false); } } });
  addEventListener('dragover', (event) => { if (hasFile(event)) event.preventDefault(); });
  addEventListener('drop', (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    depth = 0; dropping(false);
    upload(event.dataTransfer.files[0]);
  });

  window.mmExamples = (element, trigger) => {
    element.addEventListener('click', (event) => {
      const chosen = within(event, '[data-number]');
      if (chosen) trigger('example', { number: Number(chosen.dataset.number) });
    });
  };

  // The larger view: a dialog of the browser's own, which keeps the focus and closes with Escape.
  let dialog = null, shown = null, useIt = null;
  const makeDialog = () => {
    dialog = document.createElement('dialog');
    dialog.className = 'mm-dialog';
    dialog.setAttribute('aria-label', 'Picture');
    dialog.innerHTML = '<div class="mm-frame-about"></div>'
      + '<button type="button" class="mm-round mm-prev" data-mm="prev" aria-label="Picture before">‹</button>'
      + '<button type="button" class="mm-round mm-next" data-mm="next" aria-label="Next picture">›</button>'
      + '<button type="button" class="mm-round mm-close" data-mm="close" aria-label="Close">×</button>';
    (document.querySelector('.gradio-container main') || document.body).append(dialog); // where the page's style holds
    dialog.addEventListener('click', (event) => {
      const act = within(event, '[data-mm]');
      if (event.target === dialog || (act && act.dataset.mm === 'close')) dialog.close();
      else if (act && act.dataset.mm === 'prev') step(-1);
      else if (act && act.dataset.mm === 'next') step(1);
      else if (act && act.dataset.mm === 'use') { dialog.close(); useIt(act.dataset.id); }
    });
    dialog.addEventListener('keydown', (event) => {
      if (event.key === 'ArrowLeft') step(-1);
      if (event.key === 'ArrowRight') step(1);
    });
    dialog.addEventListener('close', () => {
      const back = shown && shown.querySelector('.mm-open');
      if (back && back.isConnected) back.focus();
    });
  };
  const fill = (card) => {
    shown = card;
    const place = dialog.querySelector('.mm-frame-about');
    place.innerHTML = card.dataset.detail; // the server escaped all words in it
    place.scrollTop = 0;
    dialog.querySelector('.mm-prev').disabled = !neighbour(-1);
    dialog.querySelector('.mm-next').disabled = !neighbour(1);
    const image = place.querySelector('.mm-large img');
    const small = card.querySelector('.mm-open img');
    if (image && small) image.style.backgroundImage = `url("${CSS.escape ? small.currentSrc : ''}")`;
  };
  const neighbour = (by) => {
    const cards = [...document.querySelectorAll('#mm-found .mm-card:not(.mm-wait)')];
    return cards[cards.indexOf(shown) + by];
  };
  const step = (by) => { const next = neighbour(by); if (next) fill(next); };
  const open = (card) => {
    if (!card.dataset.detail) return;
    if (!dialog) makeDialog();
    fill(card);
    dialog.showModal();
  };

  // Results: cards, marks, and what scrolling brings; `asked` is the offset that was asked for last.
  let asked = '', near = null;
  window.mmGallery = (element, trigger) => {
    useIt = (id) => { scrollTo({ top: 0 }); trigger('use', { id }); };
    element.addEventListener('click', (event) => {
      const act = within(event, '[data-mm]');
      const card = within(event, '.mm-card');
      if (!act || !card) return;
      if (act.dataset.mm === 'open') open(card);
      if (act.dataset.mm === 'use') useIt(card.dataset.id);
      if (act.dataset.mm === 'mark') mark(card, act, trigger);
    });
    near = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) next(element, trigger);
    }, { rootMargin: '900px' });
    let made = null;
    const renew = () => {
      const grid = element.querySelector('.mm-gallery');
      if (!grid || !grid.dataset.made || grid.dataset.made === made) return;
      made = grid.dataset.made;
      asked = '';
      near.disconnect();
      const end = grid.querySelector('.mm-end');
      if (end) near.observe(end);
      remember(grid);
    };
    new MutationObserver(renew).observe(element, { childList: true, subtree: true, attributeFilter: ['data-made'] });
    renew();
  };
  const mark = (card, button, trigger) => {
    const was = button.getAttribute('aria-pressed') === 'true';
    card.querySelectorAll('[data-mm=mark]').forEach((each) => each.setAttribute('aria-pressed', 'false'));
    button.setAttribute('aria-pressed', String(!was));
    trigger('mark', { id: card.dataset.id, grade: was ? null : Number(button.dataset.grade) });
  };
  const gallery = () => document.querySelector('#mm-found .mm-gallery');
  const next = (element, trigger) => {
    const grid = element.querySelector('.mm-gallery');
    if (!grid || !grid.dataset.next || asked === grid.dataset.next) return;
    asked = grid.dataset.next;
    const coming = grid.querySelector('.mm-coming');
    if (coming) coming.hidden = false;
    trigger('more', { next: Number(grid.dataset.next), best: Number(grid.dataset.best) });
  };
  window.mmTail = (element, watch) => {
    watch('value', () => {
      const brought = element.querySelector('ol');
      const grid = gallery();
      if (!brought || !grid) return;
      grid.querySelector('.mm-coming').hidden = true;
      if (brought.dataset.from !== undefined && brought.dataset.from !== asked) return;
      const have = new Set([...grid.querySelectorAll('.mm-card')].map((each) => each.dataset.id));
      const fresh = [...brought.children].filter((each) => !have.has(each.dataset.id));
      grid.querySelector('.mm-grid').append(...fresh);
      grid.dataset.next = brought.dataset.next;
      const end = grid.querySelector('.mm-end');
      end.textContent = brought.dataset.told || (brought.dataset.next ? '' : 'That is all.');
      near.unobserve(end);
      near.observe(end); // anew, since it may still be in sight
    });
  };

  // The address of the page is the link to the search.
  const remember = (grid) => {
    const address = `${location.pathname}${grid.dataset.link ? `?${grid.dataset.link}` : ''}`;
    if (address !== location.pathname + location.search) history.replaceState(null, '', address);
  };
  const copy = async (button) => {
    const words = button.querySelector('span');
    const isTooLong = document.querySelector('#mm-found .mm-gallery')?.dataset.link === '';
    if (isTooLong) {
      words.textContent = 'Too long for a link';
      return;
    }
    try {
      await navigator.clipboard.writeText(location.href);
      words.textContent = 'Copied';
    } catch {
      words.textContent = 'Copy the address';
    }
    setTimeout(() => { words.textContent = 'Copy link'; }, 2000);
  };
  window.mmStatus = (element) => {
    element.addEventListener('click', (event) => {
      const button = within(event, '[data-mm=link]');
      if (button) copy(button);
    });
  };

  // Light and dark, the settings on a phone, and the parts of the page by name for a screen reader.
  addEventListener('click', (event) => {
    const act = within(event, '[data-mm]');
    if (act && act.dataset.mm === 'theme') turn();
    if (act && act.dataset.mm === 'settings') {
      const body = document.getElementById('mm-body');
      const isOpen = body.dataset.settings !== 'open';
      body.dataset.settings = isOpen ? 'open' : 'closed';
      act.setAttribute('aria-expanded', String(isOpen));
    }
    const models = document.querySelector('.mm-models[open]');
    if (models && !models.contains(event.target)) models.open = false;
  });
  addEventListener('keydown', (event) => {
    const typing = within(event, 'input, textarea, select, [contenteditable], dialog');
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
      const words = document.querySelector('#mm-words textarea, #mm-words input');
      if (words) { event.preventDefault(); words.focus(); words.select(); }
    }
  });
  const name = () => {
    const roles = { 'mm-ask': ['search', 'Search'], 'mm-rail': ['complementary', 'Settings'], 'mm-main': ['region', 'Results'] };
    for (const [id, [role, label]] of Object.entries(roles)) {
      const part = document.getElementById(id);
      if (part && !part.hasAttribute('role')) { part.setAttribute('role', role); part.setAttribute('aria-label', label); }
    }
  };
  const begin = () => {
    paint();
    dark.addEventListener('change', paint);
    new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
    name();
  };
  if (document.body) begin(); else addEventListener('DOMContentLoaded', begin);
})();

import { facts, signatures, predict, NoAnswer } from './server.js';
import { heatMapOf, paint, follow } from './heat.js';
import { boxesOf, drawBoxes, inWords } from './boxes.js';
import { reading, aboutModel, percent, ofBoxes, ofHeat } from './words.js';

const AT_ONCE = 2;
const MOST = 200;
const byId = (id) => document.getElementById(id);
const results = byId('results');
const cards = []; // newest batch first
const waiting = [];
let busy = 0;
let explains = false;

async function showModel() {
  try {
    const about = await facts();
    byId('served').textContent = `Model ${about.name ?? about.model ?? ''}, version ${about.version ?? 'not told'}`;
    byId('about').replaceChildren(...aboutModel(about).flatMap(([term, text]) => {
      const dt = document.createElement('dt');
      const dd = document.createElement('dd');
      dt.textContent = term;
      dd.textContent = text;
      return [dt, dd];
    }));
    explains = (await signatures(about.model ?? 'pneumo')).includes('explain');
  } catch {
    byId('served').textContent = 'The server tells nothing of its model yet; reload the page in a moment.';
  }
}

function add(files) {
  const given = [...files];
  const taken = given.slice(0, MOST).map(newCard);
  results.prepend(...taken.map((card) => card.element));
  cards.unshift(...taken);
  waiting.push(...taken);
  showModel(); // it may have been swapped since
  byId('tools').hidden = !cards.length;
  if (given.length > MOST) say(`${given.length} files: the first ${MOST} are asked about. pneumo predict takes any number.`);
  next();
}

function newCard(file) {
  const element = byId('card').content.firstElementChild.cloneNode(true);
  const find = (selector) => element.querySelector(selector);
  const card = { file, element, find, state: 'waiting', row: null, url: URL.createObjectURL(file) };
  find('h3').textContent = file.name;
  find('.remove .unseen').textContent = `Remove ${file.name}`;
  find('.remove').addEventListener('click', () => remove(card));
  find('.again').addEventListener('click', () => { wait(card); waiting.push(card); next(); });
  find('.explain').addEventListener('click', () => explain(card));
  find('.heat-on').addEventListener('change', (event) => { find('.heat').hidden = !event.target.checked; });
  find('.heat-strength').addEventListener('input', (event) => { find('.heat').style.opacity = event.target.value / 100; });
  find('.boxes-on').addEventListener('change', (event) => { find('.boxes').toggleAttribute('hidden', !event.target.checked); });
  const image = find('img');
  image.addEventListener('error', () => find('.picture').classList.add('none'));
  image.alt = `X-ray ${file.name}`;
  image.src = card.url;
  wait(card);
  return card;
}

function wait(card) {
  card.state = 'waiting';
  card.element.className = 'card waiting';
  card.find('.decision').textContent = 'Waiting for the answer';
  card.find('.meaning').textContent = '';
  card.find('.again').hidden = true;
}

async function next() {
  while (busy < AT_ONCE && waiting.length) {
    const card = waiting.shift();
    if (!cards.includes(card)) continue;
    busy += 1;
    ask(card).finally(() => { busy -= 1; summary(); next(); });
  }
}

async function ask(card) {
  try {
    const about = await facts();
    const limit = about.limits?.max_bytes;
    card.row = limit && card.file.size > limit
      ? { decision: 'REJECTED', status: 'TOO_MANY_BYTES', abstained: true }
      : await predict(about.model ?? 'pneumo', card.file);
    show(card, about, await hintOf(card));
  } catch (error) {
    if (!(error instanceof NoAnswer) && !(error instanceof TypeError)) console.error(error);
    card.state = 'failed';
    card.element.className = 'card rejected';
    card.find('.decision').textContent = 'No answer';
    card.find('.meaning').textContent = `${error instanceof NoAnswer ? error.message : 'the server cannot be reached'}.`;
    card.find('.again').hidden = false;
  }
  order();
}

async function hintOf(card) {
  if (!String(card.row.status).startsWith('NOT_JPEG_OR_PNG')) return '';
  const mark = await card.file.slice(128, 132).text();
  return mark === 'DICM' ? 'It is DICOM: pneumo predict takes it, or export it as PNG.' : '';
}

function show(card, about, hint) {
  const { find, row } = card;
  const { kind, headline, meaning } = reading(row, about, hint);
  card.state = kind;
  card.element.className = `card ${kind}`;
  find('.decision').textContent = headline;
  find('.meaning').textContent = meaning;
  find('.source').textContent = `Model ${about.name ?? about.model}, version ${about.version}. Research software, not a medical device.`;
  if (kind === 'rejected') return;
  const share = (value) => `${100 * Math.min(1, Math.max(0, value))}%`;
  const scale = find('.scale');
  scale.hidden = false;
  find('.filled').style.width = share(row.score);
  find('.threshold').style.left = share(about.threshold ?? 0.5);
  find('.band').hidden = !about.band;
  if (about.band) {
    find('.band').style.left = share(about.band[0]);
    find('.band').style.width = share(about.band[1] - about.band[0]);
  }
  scale.setAttribute('aria-label', `Score ${percent(row.score)}, threshold ${percent(about.threshold ?? 0.5)}${about.band ? `, abstains between ${percent(about.band[0])} and ${percent(about.band[1])}` : ''}`);
  find('table').hidden = false;
  find('tbody').replaceChildren(...row.classes.map((name, i) => {
    const line = document.createElement('tr');
    const head = document.createElement('th');
    const cell = document.createElement('td');
    head.scope = 'row';
    head.textContent = name;
    cell.textContent = percent(row.probabilities[i]);
    line.classList.toggle('chosen', kind !== 'refer' && name === row.predicted_class);
    line.append(head, cell);
    return line;
  }));
  if (!overlay(card, row, about)) find('.explain').hidden = !explains;
}

function overlay(card, row, about) {
  markPlaces(card, row, about);
  const map = heatMapOf(row);
  if (!map) return false;
  card.find('.heat-means').textContent = ofHeat(about);
  const canvas = card.find('.heat');
  paint(canvas, map);
  canvas.hidden = false;
  canvas.style.opacity = card.find('.heat-strength').value / 100;
  follow(canvas, card.find('img'));
  card.find('.heat-tools').hidden = false;
  card.find('.explain').hidden = true;
  return true;
}

async function markPlaces(card, row, about) {
  const found = boxesOf(row);
  if (!found) return;
  const { find } = card;
  const image = find('img');
  try {
    await image.decode(); // its size is not known before
  } catch {
    return;
  }
  const [width, height] = [row.image_width || image.naturalWidth, row.image_height || image.naturalHeight];
  const svg = find('.boxes');
  drawBoxes(svg, found, width, height);
  svg.toggleAttribute('hidden', !found.length || !find('.boxes-on').checked);
  follow(svg, image);
  find('.box-tools').hidden = false;
  find('.box-tools label').hidden = !found.length;
  find('.box-count').textContent = ofBoxes(found.length, about);
  find('.places').replaceChildren(...inWords(found, width, height).map((text) => {
    const item = document.createElement('li');
    item.textContent = text;
    return item;
  }));
}

async function explain(card) {
  const button = card.find('.explain');
  button.disabled = true;
  try {
    const about = await facts();
    const row = await predict(about.model ?? 'pneumo', card.file, 'explain');
    const shown = overlay(card, row, about);
    const count = boxesOf(row)?.length;
    const marked = count === undefined ? '' : ` ${ofBoxes(count, about)}`;
    say(shown ? `Heat map of ${card.file.name} is shown.${marked}` : `The model gave no heat map of ${card.file.name}.`);
    if (shown) card.find('.heat-on').focus();
  } catch (error) {
    say(`No heat map of ${card.file.name}: ${error.message}`);
  }
  button.disabled = false;
}

function remove(card) {
  const at = cards.indexOf(card);
  cards.splice(at, 1);
  URL.revokeObjectURL(card.url);
  card.element.remove();
  byId('tools').hidden = !cards.length;
  // The focus goes to what stands in its place, not to the top of the page.
  (cards[Math.min(at, cards.length - 1)]?.find('.remove') ?? byId('files')).focus();
  summary();
}

function order() {
  const place = { refer: 0, positive: 1, negative: 1, rejected: 2, failed: 3, waiting: 4 };
  const sorted = byId('order').value === 'worklist'
    ? [...cards].sort((a, b) => place[a.state] - place[b.state] || (b.row?.score ?? 0) - (a.row?.score ?? 0))
    : cards;
  sorted.forEach((card, i) => {
    if (results.children[i] !== card.element) results.insertBefore(card.element, results.children[i] ?? null);
  });
}

const say = (text) => { byId('live').textContent = text; };

function summary() {
  if (!cards.length) { say(''); return; }
  const count = (state) => cards.filter((card) => card.state === state).length;
  const open = count('waiting');
  if (open) { say(`${cards.length - open} of ${cards.length} answered`); return; }
  if (cards.length === 1) { say(`${cards[0].file.name}: ${cards[0].find('.decision').textContent}`); return; }
  const parts = [['positive', 'positive'], ['negative', 'negative'], ['refer', 'abstained'], ['rejected', 'not read'], ['failed', 'without answer']];
  const told = parts.filter(([state]) => count(state)).map(([state, word]) => `${count(state)} ${word}`);
  say(`${cards.length} images: ${told.join(', ')}`);
}

const input = byId('files');
input.addEventListener('change', () => { add(input.files); input.value = ''; });
byId('form').addEventListener('submit', (event) => event.preventDefault());
byId('order').addEventListener('change', order);
byId('clear').addEventListener('click', () => { [...cards].forEach(remove); input.focus(); });

// A file dropped beside the marked field must not replace the page.
let depth = 0;
const drop = byId('drop');
const mark = (step) => { depth = step ? Math.max(0, depth + step) : 0; drop.classList.toggle('over', depth > 0); };
document.addEventListener('dragenter', (event) => { if (event.dataTransfer?.types.includes('Files')) mark(1); });
document.addEventListener('dragleave', () => mark(-1));
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', (event) => {
  event.preventDefault();
  mark(0);
  if (event.dataTransfer?.files.length) add(event.dataTransfer.files);
});

showModel();

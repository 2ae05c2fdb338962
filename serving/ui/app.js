import { modelInfo, signatures, predict, isDicom, renderDicom, RequestError } from './server.js';
import { heatMapOf, paint, alignWith } from './heat.js';
import { boxesOf, drawBoxes, describeEach } from './boxes.js';
import { describePrediction, describeModel, describeWarning, percent, describeBoxes, describeHeatMap } from './words.js';

const CONCURRENCY = 2;
const MAX_FILES = 200;
const byId = (id) => document.getElementById(id);
const results = byId('results');
const cards = []; // newest batch first
const waiting = [];
let busy = 0;
let explains = false;

async function showModel() {
  try {
    const about = await modelInfo();
    byId('served').textContent = `Model ${about.name ?? about.model ?? ''}, version ${about.version ?? 'unknown'}`;
    byId('about').replaceChildren(...describeModel(about).flatMap(([term, text]) => {
      const dt = document.createElement('dt');
      const dd = document.createElement('dd');
      dt.textContent = term;
      dd.textContent = text;
      return [dt, dd];
    }));
    byId('warning').textContent = describeWarning(about);
    byId('warning').hidden = !byId('warning').textContent;
    explains = (await signatures(about.model ?? 'pneumo')).includes('explain');
  } catch {
    byId('served').textContent = 'No model is loaded yet. Reload the page in a moment.';
  }
}

function add(files) {
  const chosen = [...files];
  const added = chosen.slice(0, MAX_FILES).map(newCard);
  results.prepend(...added.map((card) => card.element));
  cards.unshift(...added);
  waiting.push(...added);
  showModel(); // the version may have changed
  byId('tools').hidden = !cards.length;
  if (chosen.length > MAX_FILES) announce(`Only the first ${MAX_FILES} of ${chosen.length} files were added. Use pneumo predict for more.`);
  next();
}

function newCard(file) {
  const element = byId('card').content.firstElementChild.cloneNode(true);
  const find = (selector) => element.querySelector(selector);
  const card = { file, image: file, element, find, state: 'waiting', row: null, url: URL.createObjectURL(file) };
  find('h3').textContent = file.name;
  find('.remove .visually-hidden').textContent = `Remove ${file.name}`;
  find('.remove').addEventListener('click', () => remove(card));
  find('.retry').addEventListener('click', () => { reset(card); waiting.push(card); next(); });
  find('.explain').addEventListener('click', () => explain(card));
  find('.heat-on').addEventListener('change', (event) => { find('.heat').hidden = !event.target.checked; });
  find('.heat-strength').addEventListener('input', (event) => { find('.heat').style.opacity = event.target.value / 100; });
  find('.boxes-on').addEventListener('change', (event) => { find('.boxes').toggleAttribute('hidden', !event.target.checked); });
  const image = find('img');
  image.addEventListener('error', () => find('.picture').classList.add('none'));
  image.alt = `X-ray ${file.name}`;
  image.src = card.url;
  reset(card);
  return card;
}

function reset(card) {
  card.state = 'waiting';
  card.element.className = 'card waiting';
  card.find('.decision').textContent = 'Waiting';
  card.find('.meaning').textContent = '';
  card.find('.retry').hidden = true;
}

async function next() {
  while (busy < CONCURRENCY && waiting.length) {
    const card = waiting.shift();
    if (!cards.includes(card)) continue;
    busy += 1;
    request(card).finally(() => { busy -= 1; summary(); next(); });
  }
}

async function request(card) {
  try {
    const about = await modelInfo();
    card.row = await rowOf(card, about);
    show(card, about);
  } catch (error) {
    if (!(error instanceof RequestError) && !(error instanceof TypeError)) console.error(error);
    card.state = 'failed';
    card.element.className = 'card rejected';
    card.find('.decision').textContent = 'Failed';
    card.find('.meaning').textContent = `${error instanceof RequestError ? error.message : 'the server is unreachable'}.`;
    card.find('.retry').hidden = false;
  }
  order();
}

const rejected = (reason) => ({ decision: 'REJECTED', status: 'REJECTED', reason, abstained: true });

async function rowOf(card, about) {
  const dicom = await isDicom(card.file);
  const limit = dicom ? about.max_body_bytes : about.limits?.max_bytes;
  if (limit && card.file.size > limit) return rejected(`the file is larger than the limit of ${Math.floor(limit / 2 ** 20)} MiB`);
  if (dicom && card.image === card.file) {
    const { png, error } = await renderDicom(card.file);
    if (error) return rejected(error);
    card.image = png;
    URL.revokeObjectURL(card.url);
    card.url = URL.createObjectURL(png);
    card.find('.picture').classList.remove('none');
    card.find('img').src = card.url;
  }
  return predict(about.model ?? 'pneumo', card.image);
}

function show(card, about) {
  const { find, row } = card;
  const { kind, headline, explanation } = describePrediction(row, about);
  card.state = kind;
  card.element.className = `card ${kind}`;
  find('.decision').textContent = headline;
  find('.meaning').textContent = explanation;
  find('.source').textContent = `Model ${about.name ?? about.model}, version ${about.version}. Research software, not a medical device.`;
  if (!(row.score >= 0)) return; // rejected or no radiograph
  const percentage = (value) => `${100 * Math.min(1, Math.max(0, value))}%`;
  const scale = find('.scale');
  scale.hidden = false;
  find('.filled').style.width = percentage(row.score);
  find('.threshold').style.left = percentage(about.threshold ?? 0.5);
  find('.band').hidden = !about.band;
  if (about.band) {
    find('.band').style.left = percentage(about.band[0]);
    find('.band').style.width = percentage(about.band[1] - about.band[0]);
  }
  scale.setAttribute('aria-label', `Score ${percent(row.score)}, threshold ${percent(about.threshold ?? 0.5)}${about.band ? `, referred between ${percent(about.band[0])} and ${percent(about.band[1])}` : ''}`);
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
  showBoxes(card, row, about);
  const map = heatMapOf(row);
  if (!map) return false;
  card.find('.heat-explanation').textContent = describeHeatMap(about);
  const canvas = card.find('.heat');
  paint(canvas, map);
  canvas.hidden = false;
  canvas.style.opacity = card.find('.heat-strength').value / 100;
  alignWith(canvas, card.find('img'));
  card.find('.heat-tools').hidden = false;
  card.find('.explain').hidden = true;
  return true;
}

async function showBoxes(card, row, about) {
  const boxes = boxesOf(row);
  if (!boxes) return;
  const { find } = card;
  const image = find('img');
  try {
    await image.decode(); // its size is unknown before
  } catch {
    return;
  }
  const [width, height] = [row.image_width || image.naturalWidth, row.image_height || image.naturalHeight];
  const svg = find('.boxes');
  drawBoxes(svg, boxes, width, height);
  svg.toggleAttribute('hidden', !boxes.length || !find('.boxes-on').checked);
  alignWith(svg, image);
  find('.box-tools').hidden = false;
  find('.box-tools label').hidden = !boxes.length;
  find('.box-count').textContent = describeBoxes(boxes.length, about);
  find('.box-list').replaceChildren(...describeEach(boxes, width, height).map((text) => {
    const item = document.createElement('li');
    item.textContent = text;
    return item;
  }));
}

async function explain(card) {
  const button = card.find('.explain');
  button.disabled = true;
  try {
    const about = await modelInfo();
    const row = await predict(about.model ?? 'pneumo', card.image, 'explain');
    const shown = overlay(card, row, about);
    const count = boxesOf(row)?.length;
    const boxText = count === undefined ? '' : ` ${describeBoxes(count, about)}`;
    announce(shown ? `Heat map of ${card.file.name} is shown.${boxText}` : `The model returned no heat map for ${card.file.name}.`);
    if (shown) card.find('.heat-on').focus();
  } catch (error) {
    announce(`No heat map for ${card.file.name}: ${error.message}`);
  }
  button.disabled = false;
}

function remove(card) {
  const index = cards.indexOf(card);
  cards.splice(index, 1);
  URL.revokeObjectURL(card.url);
  card.element.remove();
  byId('tools').hidden = !cards.length;
  // Move the focus to the next card, not to the top of the page.
  (cards[Math.min(index, cards.length - 1)]?.find('.remove') ?? byId('files')).focus();
  summary();
}

function order() {
  const rank = { refer: 0, positive: 1, negative: 1, rejected: 2, failed: 3, waiting: 4 };
  const sorted = byId('order').value === 'worklist'
    ? [...cards].sort((a, b) => rank[a.state] - rank[b.state] || (b.row?.score ?? 0) - (a.row?.score ?? 0))
    : cards;
  sorted.forEach((card, i) => {
    if (results.children[i] !== card.element) results.insertBefore(card.element, results.children[i] ?? null);
  });
}

const announce = (text) => { byId('live').textContent = text; };

function summary() {
  if (!cards.length) { announce(''); return; }
  const count = (state) => cards.filter((card) => card.state === state).length;
  const pending = count('waiting');
  if (pending) { announce(`${cards.length - pending} of ${cards.length} finished`); return; }
  if (cards.length === 1) { announce(`${cards[0].file.name}: ${cards[0].find('.decision').textContent}`); return; }
  const parts = [['positive', 'positive'], ['negative', 'negative'], ['refer', 'referred'], ['rejected', 'rejected'], ['failed', 'failed']];
  const texts = parts.filter(([state]) => count(state)).map(([state, word]) => `${count(state)} ${word}`);
  announce(`${cards.length} images: ${texts.join(', ')}`);
}

const input = byId('files');
input.addEventListener('change', () => { add(input.files); input.value = ''; });
byId('form').addEventListener('submit', (event) => event.preventDefault());
byId('order').addEventListener('change', order);
byId('clear').addEventListener('click', () => { [...cards].forEach(remove); input.focus(); });

// Without these handlers, a file that is dropped next to the drop zone would replace the page.
let depth = 0;
const drop = byId('drop');
const highlight = (step) => { depth = step ? Math.max(0, depth + step) : 0; drop.classList.toggle('over', depth > 0); };
document.addEventListener('dragenter', (event) => { if (event.dataTransfer?.types.includes('Files')) highlight(1); });
document.addEventListener('dragleave', () => highlight(-1));
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', (event) => {
  event.preventDefault();
  highlight(0);
  if (event.dataTransfer?.files.length) add(event.dataTransfer.files);
});

showModel();

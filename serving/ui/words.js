// Texts of the page: predictions, heat maps, boxes and facts about the model.

export const percent = (p) => (p > 0.999 ? '> 99.9 %' : p < 0.001 ? '< 0.1 %' : `${(100 * p).toFixed(1)} %`);
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;
const two = (number) => Number(number).toFixed(2);

/** Returns kind, headline and explanation of one row of model outputs. */
export function describePrediction(row, about) {
  const positive = (about.positive ?? []).join(' or ') || 'the positive class';
  const status = String(row.status ?? 'OK');
  if (row.decision === 'REJECTED' || status !== 'OK') {
    const reason = sentence(row.reason || `rejected by the model: ${status}`);
    if (row.decision === 'REFER') {
      return { kind: 'refer', headline: 'Referred: needs a human reader', explanation: `${reason} The model makes no prediction.` };
    }
    return { kind: 'rejected', headline: 'Rejected', explanation: reason };
  }
  const score = percent(row.score);
  if (row.decision === 'REFER') {
    return { kind: 'refer', headline: 'Referred: needs a human reader', explanation: `The score of ${score} is within the range in which the model makes no decision.` };
  }
  const above = row.decision === 'POSITIVE';
  return {
    kind: above ? 'positive' : 'negative',
    headline: above ? 'Positive' : 'Negative',
    explanation: `Calibrated probability of ${positive}: ${score}, ${above ? 'at or above' : 'below'} the threshold.`,
  };
}

/** Explains the colors of a heat map. */
export function describeHeatMap(about) {
  const positive = (about.positive ?? []).join(' or ') || 'the positive class';
  return `Brighter areas contribute more to ${positive}. The brightest area corresponds to the probability of the whole image.`;
}

/** Describes how many boxes there are and how they were computed. */
export function describeBoxes(count, about) {
  if (!count) return 'No boxes.';
  const source = about.boxes?.kind === 'weak' ? ', derived from the heat map; the model was trained without boxes' : '';
  return `${count} ${count === 1 ? 'box' : 'boxes'}${source}.`;
}

/** Why the predictions of the model are meaningless for patients; '' if there is no such reason. */
export function describeWarning(about) {
  return [
    about.synthetic && 'This model was trained on synthetic radiographs, drawn by a program.',
    about.weights?.kind === 'random' && 'Its backbone started from random weights, without pretraining.',
    (about.synthetic || about.weights?.kind === 'random') && 'Its predictions for patients are meaningless.',
  ].filter(Boolean).join(' ');
}

/** Pairs of term and text about the served model; missing facts are omitted. */
export function describeModel(about) {
  const band = about.band;
  const point = about.operating_point ?? {};
  const limits = about.limits ?? {};
  const named = { published: 'ImageNet (published)', imagenet: 'ImageNet', random: 'random, without pretraining' };
  const weights = about.weights?.kind && (named[about.weights.kind] ?? `from a ${about.weights.kind}`);
  return [
    ['Name', [about.name, about.version && `version ${about.version}`].filter(Boolean).join(', ')],
    ['Backbone', [about.backbone, weights && `weights: ${weights}`].filter(Boolean).join('; ')],
    ['Classes', (about.classes ?? []).join(', ')],
    ['Decision', about.threshold !== undefined && `positive if the score is at least ${two(about.threshold)}${band ? `; referred between ${two(band[0])} and ${two(band[1])}` : ''}`],
    ['Training data', trainingData(about)],
    ['Operating point', point.sensitivity !== undefined && `sensitivity ${two(point.sensitivity)}, specificity ${two(point.specificity)} on ${point.positives} positive and ${point.negatives} negative validation images; see the report of the run for results on test data`],
    ['Input', limits.max_bytes && `JPEG, PNG or DICOM; JPEG and PNG up to ${Math.floor(limits.max_bytes / 2 ** 20)} MiB and ${Math.floor(limits.max_pixels / 1e6)} million pixels, resized to ${about.image_size} x ${about.image_size}`],
  ].filter(([, text]) => text);
}

function trainingData(about) {
  const data = about.data;
  const description = typeof data === 'string' ? data : data && typeof data === 'object'
    ? Object.entries(data).filter(([, value]) => typeof value !== 'object').map(([key, value]) => `${key.replaceAll('_', ' ')}: ${value}`).join('; ')
    : '';
  if (about.synthetic) return ['Synthetic radiographs, drawn by a program: predictions for patients are meaningless', description].filter(Boolean).join('. ');
  return description || 'Radiographs, not specified; see the model card of the run';
}

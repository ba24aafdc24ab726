// Small lines of the last minutes. Two SVG shapes do what is needed; a chart library would be a third of the whole app.
import { bytes } from '../format';
import { t } from '../strings';
import type { Series } from '../usage';

const WIDTH = 120, HEIGHT = 26;

// The line's points, the newest at the right edge; `points`: how many fill the width.
export function sparkPoints(values: number[], max: number, points: number): string {
  const top = Math.max(max, ...values) || 1;
  const step = WIDTH / Math.max(1, points - 1);
  return values.map((value, i) => `${(WIDTH - (values.length - 1 - i) * step).toFixed(1)},${(HEIGHT - 1 - (value / top) * (HEIGHT - 2)).toFixed(1)}`).join(' ');
}

// `max`: the limit. An eighth of it fills the height, and more is scaled down to fit: the line shows the course, the number beside it how much it is.
// `label`: all of it in words.
export function Spark({ values, max, label, points = 60 }: { values: number[]; max: number; label: string; points?: number }) {
  const line = sparkPoints(values.length === 1 ? [values[0]!, values[0]!] : values, max / 8, points);
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {line && <polygon points={`${line.split(',')[0]},${HEIGHT} ${line} ${WIDTH},${HEIGHT}`} />}
      {line && <polyline points={line} />}
    </svg>
  );
}

const last = (values: number[]) => values[values.length - 1];
const peak = (values: number[]) => Math.max(0, ...values);

interface GaugeProps { title: string; values: number[]; max: number; text: (value: number) => string; limit?: string; points?: number }

// A title, the newest value, and how it came to be.
export function Gauge({ title, values, max, text, limit, points }: GaugeProps) {
  const newest = last(values);
  if (newest === undefined) return null;
  return (
    <div class="gauge">
      <span class="gauge-text"><span class="soft">{title}</span> <strong>{text(newest)}</strong>{limit && <span class="soft"> / {limit}</span>}</span>
      <Spark values={values} max={max} points={points} label={t.usage.history(title, text(peak(values)))} />
    </div>
  );
}

export const cores = (value: number) => value < 10 ? value.toFixed(2) : value.toFixed(1);

// CPU and memory of a workspace. Nothing before the first figures are there.
export function WorkspaceGauges({ series }: { series: Series | undefined }) {
  if (!series || series.cpu.length === 0) return null;
  return (
    <div class="gauges">
      <Gauge title={t.usage.cpu} values={series.cpu} max={series.cpus || 1} text={cores} limit={series.cpus ? t.usage.cores(series.cpus) : undefined} />
      <Gauge title={t.usage.memory} values={series.memory} max={series.memory_limit} text={bytes} limit={series.memory_limit ? bytes(series.memory_limit) : undefined} />
    </div>
  );
}

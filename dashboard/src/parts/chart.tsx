// Bar charts as SVG, each with a table of its numbers.

export interface Bar {
  name: string;
  value: number;
  href?: string;
}

interface Props {
  title: string;
  name: string;
  bars: Bar[];
  shown: (value: number) => string;
}

const HEIGHT = 100;

/** Vertical bars over time. */
export function Columns({ title, name, bars, shown }: Props) {
  const top = Math.max(...bars.map((bar) => bar.value), Number.MIN_VALUE);
  const step = 1000 / bars.length;
  return (
    <figure class="chart">
      <figcaption>{title}<span class="hint">max {shown(top)}</span></figcaption>
      <svg class="columns" viewBox={`0 0 1000 ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${title}; the table below has the numbers`}>
        {[0.25, 0.5, 0.75].map((part) => <line class="grid" x1="0" x2="1000" y1={HEIGHT * part} y2={HEIGHT * part} />)}
        {bars.map((bar, index) => {
          const height = bar.value ? Math.max(1, (HEIGHT * bar.value) / top) : 0;
          return (
            <g class="column">
              <rect class="hover-area" x={index * step} width={step} height={HEIGHT}><title>{`${bar.name}: ${shown(bar.value)}`}</title></rect>
              <rect class="bar" x={index * step + step * 0.15} width={step * 0.7} y={HEIGHT - height} height={height} />
            </g>
          );
        })}
      </svg>
      <div class="axis" aria-hidden="true"><span>{bars[0]?.name.slice(5)}</span><span>{bars[Math.floor(bars.length / 2)]?.name.slice(5)}</span><span>{bars.at(-1)?.name.slice(5)}</span></div>
      <Numbers title={title} name={name} bars={bars.filter((bar) => bar.value)} shown={shown} />
    </figure>
  );
}

/** Horizontal bars by name, drawn in a table. */
export function Bars({ title, name, bars, shown }: Props) {
  if (!bars.length) return null;
  const top = Math.max(...bars.map((bar) => bar.value), Number.MIN_VALUE);
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <table class="bars">
        <caption class="hidden">{title}</caption>
        <thead class="hidden"><tr><th scope="col">{name}</th><th scope="col">Amount</th></tr></thead>
        <tbody>
          {bars.map((bar) => (
            <tr>
              <th scope="row">
                {bar.href ? <a href={bar.href} title={bar.name}>{bar.name}</a> : <span title={bar.name}>{bar.name}</span>}
                <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect class="ground" width="100" height="4" /><rect class="bar" width={(100 * bar.value) / top} height="4" /></svg>
              </th>
              <td class="number">{shown(bar.value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

function Numbers({ title, name, bars, shown }: Props) {
  return (
    <details class="numbers">
      <summary>As a table</summary>
      <table class="list">
        <caption class="hidden">{title}</caption>
        <thead><tr><th scope="col">{name}</th><th scope="col" class="number">Amount</th></tr></thead>
        <tbody>{bars.map((bar) => <tr><td>{bar.name}</td><td class="number">{shown(bar.value)}</td></tr>)}</tbody>
      </table>
    </details>
  );
}

export function Meter({ value, of, label }: { value: number; of: number; label: string }) {
  const share = of > 0 ? Math.min(100, (100 * value) / of) : 0;
  return (
    <span class="meter">
      <svg viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label={`${Math.round(share)} % of ${label}`}>
        <rect class="ground" width="100" height="4" /><rect class={share > 90 ? 'bar high' : 'bar'} width={share} height="4" />
      </svg>
    </span>
  );
}

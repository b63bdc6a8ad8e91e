import { useState } from 'preact/hooks';
import { curl } from '../api';
import { count, money, short } from '../format';
import { Choice, Command, Copy, Empty, Fact, Loading, Trouble } from '../parts/basic';
import { Bars, type Bar, Columns } from '../parts/chart';
import { useGet } from '../parts/use';
import { href, route, setQuery } from '../route';
import type { UsageReport, UsageRow } from '../types';

type Measure = 'cost' | 'tokens';

const tokens = (row: UsageRow) => row.input_tokens + row.output_tokens + row.cache_creation_input_tokens + row.cache_read_input_tokens;

export function UsagePage() {
  const days = Number(route.value.query.get('days')) || 30;
  const [measure, setMeasure] = useState<Measure>('cost');
  const from = day(Date.now() - (days - 1) * 86_400_000);
  const path = (by: string) => `/usage?by=${by}&from=${from}`;
  const daily = useGet<UsageReport>(path('day'));
  const byModel = useGet<UsageReport>(path('model'));
  const byKey = useGet<UsageReport>(path('key'));
  const bySession = useGet<UsageReport>(path('session'));
  const value = (row: UsageRow) => (measure === 'cost' ? row.cost : tokens(row));
  const shown = measure === 'cost' ? money : short;
  const report = daily.value;

  return (
    <>
      <h1>Usage</h1>
      <div class="toolbar">
        <Choice label="Days" value={String(days)} options={[['7', '7 days'], ['30', '30 days'], ['90', '90 days']]} onChange={(days) => setQuery({ days: days === '30' ? '' : days })} />
        <Choice label="Measure" value={measure} options={[['cost', 'Cost'], ['tokens', 'Tokens']]} onChange={setMeasure} />
        <Copy label="Copy as cURL" text={() => curl(path('day,model'))} />
      </div>
      {daily.error ? <Trouble error={daily.error} retry={daily.reload} /> : null}
      {!report ? !daily.error && <Loading /> : report.totals.requests === 0 ? (
        <Empty title={`No usage in the last ${days} days`}><p>Every model request is counted here, by day, model, key and session.</p><Command text={curl(path('day,model'))} /></Empty>
      ) : (
        <>
          <dl class="facts">
            <Fact name="Cost"><span class="big">{money(report.totals.cost)}</span></Fact>
            <Fact name="Requests"><span class="big">{count(report.totals.requests)}</span></Fact>
            <Fact name="Input tokens">{count(report.totals.input_tokens)}</Fact>
            <Fact name="Output tokens">{count(report.totals.output_tokens)}</Fact>
            <Fact name="From cache">{count(report.totals.cache_read_input_tokens)}</Fact>
          </dl>
          <Columns title={`${measure === 'cost' ? 'Cost' : 'Tokens'} by day`} name="Day" bars={everyDay(report, value)} shown={shown} />
          <div class="charts">
            <Bars title="By model" name="Model" bars={grouped(byModel.value, 'model', value)} shown={shown} />
            <Bars title="By key" name="Key" bars={grouped(byKey.value, 'key', value, 'without a key')} shown={shown} />
            <Bars title="By session" name="Session" bars={grouped(bySession.value, 'sessionId', value).map((bar) => ({ ...bar, href: href('sessions', bar.name) }))} shown={shown} />
          </div>
          {report.totals.estimatedCost > 0 && <p class="hint">{money(report.totals.estimatedCost)} of it is estimated, because the API did not report the usage of those requests.</p>}
        </>
      )}
    </>
  );
}

const day = (time: number) => new Date(time).toISOString().slice(0, 10);

/** One bar for each day, also for days without usage. */
function everyDay(report: UsageReport, value: (row: UsageRow) => number): Bar[] {
  const known = new Map(report.rows.map((row) => [row.day, value(row)]));
  const bars: Bar[] = [];
  for (let time = Date.parse(report.from); time <= Date.parse(report.to); time += 86_400_000) {
    bars.push({ name: day(time), value: known.get(day(time)) ?? 0 });
  }
  return bars;
}

function grouped(report: UsageReport | null, by: 'model' | 'key' | 'sessionId', value: (row: UsageRow) => number, none = 'unknown'): Bar[] {
  const bars = (report?.rows ?? []).map((row) => ({ name: row[by] || none, value: value(row) }));
  return bars.sort((a, b) => b.value - a.value).slice(0, 10);
}

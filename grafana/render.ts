import {
  GraphGradientMode,
  LegendDisplayMode,
  LegendPlacement,
  SortOrder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  BigValueColorMode,
  BigValueGraphMode,
  StackingConfigBuilder,
  ReduceDataOptionsBuilder,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  FieldColorBuilder,
  FieldColorModeId,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type Threshold,
} from '@grafana/grafana-foundation-sdk/dashboard'
import {
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  HeatmapTooltipBuilder,
  PanelBuilder as HeatmapBuilder,
  YAxisConfigBuilder,
} from '@grafana/grafana-foundation-sdk/heatmap'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimeSeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'
import type { Heatmap, Panel, Query, Stat, TimeSeries } from './panel.ts'
import { DATASOURCE } from './variables.ts'

const STAT_HEIGHT = 4
const HEIGHT = 8

export function render(panel: Panel): StatBuilder | TimeSeriesBuilder | HeatmapBuilder {
  switch (panel.kind) {
    case 'stat':
      return renderStat(panel)
    case 'time series':
      return renderTimeSeries(panel)
    case 'heatmap':
      return renderHeatmap(panel)
  }
}

function renderStat({ title, description, unit, width, query, thresholds }: Stat): StatBuilder {
  return new StatBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .span(width)
    .height(STAT_HEIGHT)
    .targets([target('A', { expression: query, legend: title })])
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps(thresholds)))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
    .colorMode(thresholds ? BigValueColorMode.Background : BigValueColorMode.Value)
    .graphMode(BigValueGraphMode.Area)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false).fields(''))
}

/** Each colour holds from its value upwards. */
function steps(thresholds: Stat['thresholds']): Threshold[] {
  if (!thresholds) return [{ value: null, color: 'blue' }]
  const { yellow, red } = thresholds
  return [
    { value: null, color: 'green' },
    ...(yellow === undefined ? [] : [{ value: yellow, color: 'yellow' }]),
    { value: red, color: 'red' },
  ]
}

function renderTimeSeries({ title, description, unit, width, queries, stacked, max }: TimeSeries): TimeSeriesBuilder {
  const panel = new TimeSeriesBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .span(width)
    .height(HEIGHT)
    .min(0)
    .targets(queries.map((query, index) => target(String.fromCharCode(65 + index), query)))
    .lineWidth(1)
    .fillOpacity(stacked ? 40 : 10)
    .gradientMode(GraphGradientMode.Opacity)
    .showPoints(VisibilityMode.Auto)
    .stacking(new StackingConfigBuilder().mode(stacked ? StackingMode.Normal : StackingMode.None))
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .calcs(['mean', 'max', 'lastNotNull']),
    )
    // oxlint-disable-next-line unicorn/no-array-sort -- it is no array
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
  return max === undefined ? panel : panel.max(max)
}

function renderHeatmap({ title, description, unit, width, query }: Heatmap): HeatmapBuilder {
  return new HeatmapBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .span(width)
    .height(HEIGHT)
    .targets([target('A', { expression: query, legend: '{{le}}' }).format(PromQueryFormat.Heatmap)])
    .calculate(false)
    .yAxis(new YAxisConfigBuilder().unit(unit))
    .color(
      new HeatmapColorOptionsBuilder()
        .mode(HeatmapColorMode.Scheme)
        .scheme('Oranges')
        .fill('dark-orange')
        .exponent(0.5)
        .steps(64),
    )
    .cellGap(1)
    .tooltip(new HeatmapTooltipBuilder().mode(TooltipDisplayMode.Single).yHistogram(true))
}

function target(refId: string, { expression, legend, exemplars = false }: Query): DataqueryBuilder {
  return new DataqueryBuilder()
    .refId(refId)
    .datasource(DATASOURCE)
    .expr(expression)
    .legendFormat(legend)
    .range()
    .exemplar(exemplars)
}

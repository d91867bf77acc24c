import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { z } from 'zod'
import { Journal } from './cutting-proxy.ts'

export interface CollectedSpan {
  service: unknown
  name: string
  kind: 'server' | 'client' | 'other'
  traceId: string
  id: string
  /** Empty for a root. */
  parentId: string
  attributes: Record<string, unknown>
  events: string[]
  status: 'unset' | 'ok' | 'error'
}

const value = z.looseObject({
  stringValue: z.string().optional(),
  boolValue: z.boolean().optional(),
  // 64 bits, which JSON writes as a string or as a number.
  intValue: z.coerce.number().optional(),
  doubleValue: z.number().optional(),
  get arrayValue() {
    return z.object({ values: z.array(value) }).optional()
  },
})

type Value = z.infer<typeof value>

const attributes = z.array(z.object({ key: z.string(), value })).default([])
const hex = (length: number) => z.string().regex(new RegExp(`^[\\da-f]{${length}}$`))

/** https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto, as JSON */
const exportRequest = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes }),
      scopeSpans: z.array(
        z.object({
          scope: z.object({ name: z.literal('sluice'), version: z.string() }),
          spans: z.array(
            z.object({
              traceId: hex(32),
              spanId: hex(16),
              parentSpanId: z.string().default(''),
              name: z.string(),
              kind: z.number(),
              startTimeUnixNano: z.coerce.bigint(),
              endTimeUnixNano: z.coerce.bigint(),
              attributes,
              events: z.array(z.object({ name: z.string() })).default([]),
              status: z.object({ code: z.number().default(0) }),
            }),
          ),
        }),
      ),
    }),
  ),
})

type OtlpSpan = z.infer<typeof exportRequest>['resourceSpans'][number]['scopeSpans'][number]['spans'][number]

export interface TraceCollector {
  url: string
  spans: Journal<CollectedSpan>
}

/** Takes what an OpenTelemetry exporter posts, and refuses what is not OTLP. */
export async function startTraceCollector(): Promise<TraceCollector> {
  const spans = new Journal<CollectedSpan>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const parsed = exportRequest.safeParse(JSON.parse(Buffer.concat(chunks).toString()))
      if (parsed.success && request.url === '/v1/traces')
        for (const { resource, scopeSpans } of parsed.data.resourceSpans)
          for (const span of scopeSpans.flatMap((scope) => scope.spans))
            spans.add(toSpan(span, toRecord(resource.attributes)['service.name']))
      response.writeHead(parsed.success ? 200 : 400, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, spans }
}

function toSpan(span: OtlpSpan, service: unknown): CollectedSpan {
  return {
    service,
    name: span.name,
    kind: span.kind === 2 ? 'server' : span.kind === 3 ? 'client' : 'other',
    traceId: span.traceId,
    id: span.spanId,
    parentId: span.parentSpanId,
    attributes: toRecord(span.attributes),
    events: span.events.map(({ name }) => name),
    status: (['unset', 'ok', 'error'] as const)[span.status.code]!,
  }
}

function toRecord(list: readonly { key: string; value: Value }[]): Record<string, unknown> {
  return Object.fromEntries(list.map(({ key, value: each }) => [key, toPlain(each)]))
}

function toPlain({ stringValue, boolValue, intValue, doubleValue, arrayValue }: Value): unknown {
  return stringValue ?? boolValue ?? intValue ?? doubleValue ?? arrayValue?.values.map(toPlain)
}

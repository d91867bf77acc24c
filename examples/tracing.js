// OpenTelemetry traces of the gateway, sent with OTLP over HTTP:
//
//   npm install @opentelemetry/sdk-trace-node @opentelemetry/resources @opentelemetry/exporter-trace-otlp-http
//   OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 node --import ./tracing.js dist/src/main.js
//
// The usual variables apply: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER …
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { defaultResource, detectResources, envDetector } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'

process.env.OTEL_SERVICE_NAME ??= 'sluice'

const provider = new NodeTracerProvider({
  resource: defaultResource().merge(detectResources({ detectors: [envDetector] })),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
})

// Sluice hands its contexts on by itself. A context manager would make every promise dearer, and each token costs one.
provider.register({ contextManager: null })

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Import {
  /** A path from the root of the repository, or the name of a package. */
  target: string
  /** Gone once compiled: says what a thing looks like, depends on nothing. */
  typeOnly: boolean
}

interface Module {
  path: string
  source: string
  imports: Import[]
}

const modules: Module[] = ['src', 'providers'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => readModule(join(folder, name))),
)

function readModule(path: string): Module {
  const source = readFileSync(join(root, path), 'utf8')
  const statements = source.matchAll(/^(?:import|export)\s+(type\s+)?([^'";=]*?from\s+)?'([^']+)'/gm)
  const dynamic = source.matchAll(/\bimport\(\s*'([^']+)'/g)
  return {
    path,
    source,
    imports: [
      ...[...statements].map(([, type, names, specifier]) => ({
        target: resolveFrom(path, specifier!),
        typeOnly: type !== undefined || areTypes(names),
      })),
      ...[...dynamic].map(([, specifier]) => ({ target: resolveFrom(path, specifier!), typeOnly: false })),
    ],
  }
}

/** Whether `{ type A, type B } from` names nothing else. */
function areTypes(names: string | undefined): boolean {
  const [, list] = /^\{([^}]*)\}\s+from\s+$/.exec(names ?? '') ?? []
  return list !== undefined && list.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type '))
}

function resolveFrom(path: string, specifier: string): string {
  return specifier.startsWith('.') ? relative(root, join(root, dirname(path), specifier)) : specifier
}

function isIn(target: string, places: readonly string[]): boolean {
  return places.some((place) => target === place || (place.endsWith('/') && target.startsWith(place)))
}

/** Every import of files in `area` that is neither in it nor allowed, as `file → target`. */
function strays(area: string, { values, types = [] }: { values: string[]; types?: string[] }): string[] {
  return modules
    .filter(({ path }) => path.startsWith(area))
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ target, typeOnly }) => !isIn(target, [area, ...values, ...(typeOnly ? types : [])]))
        .map(({ target }) => `${path} → ${target}`),
    )
}

const COST = 'src/cost.ts'
const ERRORS = 'src/errors.ts'
const FAULTS = 'src/faults.ts'
const PEERS = 'src/peers.ts'
const REQUEST = 'src/chat-request.ts'
const SCHEMA = 'src/bounded-schema.ts'
const SETTING_SCHEMAS = 'src/setting-schemas.ts'
const WIRES = 'src/wires/'

describe('arrows point inward', () => {
  it('finds the modules and their imports', () => {
    const gateway = modules.find(({ path }) => path === 'src/gateway.ts')
    expect(gateway?.imports).toContainEqual({ target: 'src/gateway-ports.ts', typeOnly: false })
    expect(gateway?.imports).toContainEqual({ target: 'src/http/context.ts', typeOnly: true })
    expect(modules.filter(({ imports }) => imports.length > 0).length).toBeGreaterThan(20)
    for (const { imports } of modules)
      for (const { target } of imports)
        if (target.includes('/') && isIn(target, ['src/', 'providers/']))
          expect(modules.map(({ path }) => path)).toContain(target)
  })

  it('stream/ knows neither HTTP nor any protocol nor any provider, nor who keeps its logs', () => {
    expect(strays('src/stream/', { values: [WIRES, ERRORS, 'src/json.ts'] })).toEqual([])
  })

  it('wires/ is what both ends of a wire share, and knows only the types of events', () => {
    expect(strays(WIRES, { values: [], types: ['src/stream/events.ts'] })).toEqual([])
  })

  it.each(['openai', 'anthropic'])('wires/%s.ts is known to its own provider, and to protocols', (wire) => {
    const importers = modules
      .filter(({ imports }) => imports.some(({ target }) => target === `${WIRES}${wire}.ts`))
      .map(({ path }) => path.split('/').slice(0, 2).join('/'))
    expect([...new Set(importers)].toSorted()).toEqual([`providers/${wire}`, 'src/protocols', 'src/wires'])
  })

  it('store/ keeps logs, and knows neither HTTP nor any protocol nor any provider', () => {
    const values = ['src/stream/', 'src/within.ts', ERRORS, 'node:crypto', 'node:timers/promises', 'ioredis', 'zod']
    expect(strays('src/store/', { values, types: ['src/access/limit-store.ts'] })).toEqual([])
  })

  it('workers/ connects processes, and knows of the gateway what they share', () => {
    const values = ['src/store/backplane/', 'src/json.ts', ERRORS, 'node:cluster', 'node:timers/promises']
    const types = ['src/access/limit-store.ts', 'src/telemetry/logger.ts', 'src/config.ts', 'src/reload.ts', FAULTS]
    expect(strays('src/workers/', { values, types })).toEqual([])
  })

  it('access/ decides who may and how much, and knows neither HTTP nor usage/', () => {
    const values = [
      'src/store/budget.ts',
      'src/store/expiry-timer.ts',
      'src/json.ts',
      COST,
      ERRORS,
      REQUEST,
      SETTING_SCHEMAS,
      'zod',
      'jose',
      'rate-limiter-flexible',
      'node:crypto',
    ]
    const types = ['src/stream/events.ts', 'src/stream/generation.ts', 'src/store/backplane/backplane.ts']
    expect(strays('src/access/', { values, types })).toEqual([])
  })

  it('usage/ records the tokens and cost of streams, and of access/ knows only the type of a caller', () => {
    const values = [
      'src/stream/',
      'src/telemetry/redact.ts',
      'src/json.ts',
      COST,
      ERRORS,
      REQUEST,
      SETTING_SCHEMAS,
      WIRES,
      'zod',
      'node:fs',
      'node:fs/promises',
      'node:module',
      'node:util',
      'node:worker_threads',
    ]
    const types = ['src/access/caller.ts', 'src/routing/observer.ts', 'src/store/backplane/backplane.ts']
    expect(strays('src/usage/', { values, types })).toEqual([])
  })

  it('sse/ is bytes and frames and nothing else, of Node no more than the types', () => {
    expect(strays('src/sse/', { values: [], types: ['node:http', 'node:http2'] })).toEqual([])
  })

  it('protocols/ know requests, events and frames', () => {
    const values = [
      'src/stream/',
      'src/sse/',
      WIRES,
      'src/json.ts',
      'src/media-types.ts',
      ERRORS,
      FAULTS,
      REQUEST,
      SCHEMA,
      'zod',
      'node:http',
      'node:crypto',
    ]
    expect(strays('src/protocols/', { values })).toEqual([])
  })

  it('providers/ know of the gateway only requests, events, their end, wires, errors and how to decode SSE and JSON', () => {
    const stream = ['src/stream/events.ts', 'src/stream/stop-signal.ts']
    const values = [...stream, 'src/sse/decode.ts', 'src/json.ts', WIRES, ERRORS, FAULTS, PEERS, REQUEST]
    // Whatever it takes to speak to an upstream is theirs to choose.
    expect(
      strays('providers/', { values, types: ['src/stream/source.ts'] }).filter((arrow) => arrow.includes('→ src/')),
    ).toEqual([])
  })

  it('routing/ reports to observers, and knows no metric, log or trace', () => {
    const arrows = strays('src/routing/', { values: [] })
    expect(arrows.filter((arrow) => arrow.includes('→ src/telemetry/'))).toEqual([])
  })

  it('http/ maps over the table of protocols and names none', () => {
    const named = modules.filter(
      ({ path, source }) => path.startsWith('src/http/') && /\b(native|openai|anthropic)/i.test(source),
    )
    expect(named.map(({ path }) => path)).toEqual([])
    const shared = new Set(['src/protocols/protocol.ts', 'src/protocols/shared-frames.ts'])
    const imported = modules
      .filter(({ path }) => path.startsWith('src/http/') || path.startsWith('src/telemetry/'))
      .flatMap(({ imports }) =>
        imports.map(({ target }) => target).filter((target) => isIn(target, ['src/protocols/'])),
      )
    expect([...new Set(imported)].filter((target) => !shared.has(target))).toEqual([])
  })

  it('client/ runs without the server, of which it knows the types of events and how they add up', () => {
    expect(strays('src/client/', { values: [WIRES], types: ['src/stream/events.ts'] })).toEqual([])
  })

  it('react/ is built on the client and React', () => {
    expect(strays('src/react/', { values: ['src/client/', 'react'] })).toEqual([])
  })

  it('playground/ is built on the published client and nothing else', () => {
    expect(strays('src/playground/', { values: ['src/client/index.ts'] })).toEqual([])
  })

  it('only what builds and configures the gateway knows which providers there are', () => {
    const importers = modules.filter(
      ({ path, imports }) =>
        path.startsWith('src/') && imports.some(({ target, typeOnly }) => !typeOnly && target.startsWith('providers/')),
    )
    // `gateway-routing.ts` loads them, `index.ts` exports the types to write one, `main.ts` finds the provider that threw an
    // error, and `settings.ts` reads their options.
    const allowed = ['src/gateway-routing.ts', 'src/index.ts', 'src/main.ts', 'src/settings.ts']
    expect(importers.map(({ path }) => path).toSorted()).toEqual(allowed)
  })

  it('reading the settings loads no provider', () => {
    const reached = new Set(['src/config.ts'])
    for (const path of reached)
      for (const { target, typeOnly } of modules.find((module) => module.path === path)?.imports ?? [])
        if (!typeOnly) reached.add(target)
    expect([...reached].filter((path) => path.startsWith('providers/'))).toEqual([
      'providers/options.ts',
      'providers/transport/proxy.ts',
    ])
  })

  it('nothing but the way in and the way out knows what is outermost', () => {
    const outer = ['src/main.ts', 'src/index.ts', 'src/gateway.ts', 'src/http/']
    const inner = modules.filter(
      // `sluice check` reads certificates as the gateway does.
      ({ path }) => !isIn(path, [...outer, 'src/gateway-ports.ts', 'src/check.ts']),
    )
    const arrows = inner.flatMap(({ path, imports }) =>
      imports.filter(({ target }) => isIn(target, outer)).map(({ target }) => `${path} → ${target}`),
    )
    expect(arrows).toEqual([])
  })

  it('only main.ts ends the process', () => {
    const enders = modules.filter(({ source }) => /\bprocess\s*\.\s*(exit|abort|kill)\b|\bexitCode\b/.test(source))
    expect(enders.map(({ path }) => path)).toEqual(['src/main.ts'])
  })
})

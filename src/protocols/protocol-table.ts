import type { IncomingHttpHeaders } from 'node:http'
import type { ModelForms, Protocol } from './protocol.ts'

/** A protocol that can list models. */
export interface ModelProtocol extends Protocol {
  readonly models: ModelForms
}

/** The protocols of a gateway; chooses the protocol of each request. */
export class ProtocolTable {
  readonly rows: readonly [Protocol, ...Protocol[]]
  /** Headers that identify the client's protocol at paths shared by several protocols. */
  readonly clientHeaders: readonly string[]
  /** The longest path first. */
  readonly #paths: readonly { path: string; protocol: Protocol }[]
  readonly #unclaimed: Protocol

  /**
   * @param rows the first is the default
   * @param unclaimed renders errors of paths below `/v1/` that belong to no protocol
   */
  constructor(rows: readonly [Protocol, ...Protocol[]], unclaimed: Protocol = rows[0]) {
    this.rows = rows
    this.clientHeaders = rows.flatMap(({ clientHeader }) => clientHeader ?? [])
    this.#paths = rows
      .flatMap((protocol) => protocol.paths.map((path) => ({ path, protocol })))
      .toSorted((a, b) => b.path.length - a.path.length)
    this.#unclaimed = unclaimed
  }

  get default(): Protocol {
    return this.rows[0]
  }

  get names(): string[] {
    return this.rows.map(({ name }) => name)
  }

  /** The protocol of a request, chosen by path; by headers where protocols share the path or none claims it. */
  at(path: string, headers: IncomingHttpHeaders): Protocol {
    for (const each of this.#paths) if (isBelow(path, each.path)) return each.protocol
    if (!path.startsWith('/v1/')) return this.default
    return this.rows.find((protocol) => isClient(protocol, headers)) ?? this.#unclaimed
  }

  named(name: string): Protocol | undefined {
    return this.rows.find((protocol) => protocol.name === name)
  }

  /** The query that selects a protocol in the URL of a stream. */
  readQuery({ name }: Protocol): string {
    return name === this.default.name ? '' : `?protocol=${name}`
  }

  /** The protocol for listing models: the client's, or the first that can list models. */
  forModels(headers: IncomingHttpHeaders): ModelProtocol | undefined {
    const listing = this.rows.filter(hasModels)
    return listing.find((protocol) => isClient(protocol, headers)) ?? listing[0]
  }
}

function isClient({ clientHeader }: Protocol, headers: IncomingHttpHeaders): boolean {
  return clientHeader !== undefined && headers[clientHeader] !== undefined
}

function hasModels(protocol: Protocol): protocol is ModelProtocol {
  return protocol.models !== undefined
}

function isBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path.charAt(prefix.length) === '/')
}

/** The package has no types of its own: what is used of it. */
declare module 'event-source-polyfill' {
  interface SourceEvent {
    data?: string
    lastEventId?: string
  }

  export class EventSourcePolyfill {
    constructor(url: string)
    addEventListener(type: string, listener: (event: SourceEvent) => void): void
    close(): void
  }
}

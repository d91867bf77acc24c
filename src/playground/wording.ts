import { SluiceClientError, type FinalChat } from '../client/index.ts'

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const integer = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const seconds = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 })

/** Milliseconds below a second, seconds above. */
export function formatMs(ms: number): string {
  return ms < 999.5 ? `${integer.format(ms)} ms` : formatSeconds(ms)
}

export function formatSeconds(ms: number): string {
  return `${seconds.format(ms / 1000)} s`
}

export function formatBytes(bytes: number): string {
  return bytes < 1000 ? `${bytes} B` : `${number.format(bytes / 1000)} kB`
}

export function formatCount(count: number): string {
  return integer.format(count)
}

export function formatRate(perSecond: number): string {
  return number.format(perSecond)
}

/** The largest unit alone: `3 min`. */
export function formatDuration(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 1) return `${Math.max(0, Math.floor(ms / 1000))} s`
  if (minutes < 60) return `${minutes} min`
  return minutes < 1440 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** How an answer ended: why, its length and its model. */
export function describeEnd({ finish_reason: reason, usage, model }: FinalChat): string {
  const about = usage?.estimated === true ? 'about ' : ''
  const tokens = usage ? `${about}${formatCount(usage.completion_tokens)} tokens` : ''
  return [reason, tokens, model].filter(Boolean).join(' · ')
}

const time = new Intl.DateTimeFormat('en', { weekday: 'short', hour: '2-digit', minute: '2-digit', hour12: false })

/** The clock of this device, with the day: a link may be valid for a week. */
export function formatTime(date: Date): string {
  return time.format(date)
}

/** How a failure is told to people. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof SluiceClientError)) return error instanceof Error ? error.message : String(error)
  if (error.code === 'invalid_ticket') return 'This link has expired, or a part of it is missing. Ask for a new one.'
  const faults = error.faults?.map(({ path, message }) => `${path} ${message}`).join('; ')
  return `${error.code}: ${faults || error.message}${error.retryable ? ' Trying again may help.' : ''}`
}

/** How a reader without a connection is told of. */
export function describeReconnecting(attempts: number): string {
  return `Reconnecting …${attempts > 1 ? ` (attempt ${attempts})` : ''}`
}

/** Where the last whole sentence ends; 0 when there is none. */
export function endOfSentences(text: string): number {
  const [sentences = ''] = /^.*[.!?…:](?=\s)/s.exec(text) ?? []
  return sentences.length
}

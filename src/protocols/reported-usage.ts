import type { Done, Usage } from '../stream/events.ts'

/** The usage that the upstream reported: nothing that the gateway estimated, or knows because nothing was used. */
export function reportedUsage({ finish_reason, usage }: Done): Usage | undefined {
  if (!usage || usage.estimated) return undefined
  return finish_reason === 'error' && usage.total_tokens === 0 ? undefined : usage
}

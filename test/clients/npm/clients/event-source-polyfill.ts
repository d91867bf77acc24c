import { EventSourcePolyfill } from 'event-source-polyfill'
import { listen } from './listen.ts'
import type { Read } from '../reader-kind.ts'

export const read: Read = (target, hear) => listen(new EventSourcePolyfill(target.url), target, hear)

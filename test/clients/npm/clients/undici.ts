import { EventSource } from 'undici'
import { listen } from './listen.ts'
import type { Read } from '../reader-kind.ts'

export const read: Read = (target, hear) => listen(new EventSource(target.url), target, hear)

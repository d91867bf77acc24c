import type { Fault } from '../faults.ts'
import { isRecord } from '../json.ts'
import type { Address } from './server.ts'

/** Why an address cannot be listened on, and the setting to change. */
export function describeListenFailure(error: unknown, { host, port, settings }: Address): Fault {
  const { code, message } = isRecord(error) ? error : {}
  switch (code) {
    case 'EADDRINUSE':
      return {
        path: settings.port,
        message: `port ${port} of ${host} is in use by another process (EADDRINUSE); set ${settings.port} to another one, or stop that process`,
      }
    case 'EACCES':
      return {
        path: settings.port,
        message: `this user may not listen on port ${port} of ${host} (EACCES); ports from 1024 on need no privilege`,
      }
    case 'EADDRNOTAVAIL':
      return { path: settings.host, message: `${host} is not an address of this machine (EADDRNOTAVAIL)` }
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return { path: settings.host, message: `there is no host ${host} (${code})` }
    default:
      return { path: settings.port, message: `cannot listen on port ${port} of ${host}: ${String(message)}` }
  }
}

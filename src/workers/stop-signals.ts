/** Signals that drain the gateway. */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** The signal with which the configuration is read again. */
export const RELOAD_SIGNAL = 'SIGHUP'

import { clientCuts } from '../contract/client-cuts.ts'
import { clientLeaving } from '../contract/client-leaving.ts'
import { clientOutages } from '../contract/client-outages.ts'
import { inNode } from '../support/client-runtime.ts'
import { forbidUnhandledRejections } from './harness.ts'

forbidUnhandledRejections()

clientCuts(inNode)
clientOutages(inNode)
clientLeaving(inNode)

import { ATTACKS_ON_FORWARDS } from './attacks-on-forwards.ts'
import { describeAttacks } from './withstand.ts'

describeAttacks('callers and upstreams on what is passed on', ATTACKS_ON_FORWARDS)

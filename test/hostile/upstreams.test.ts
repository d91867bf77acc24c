import { ATTACKS_BY_UPSTREAMS } from './attacks-by-upstreams.ts'
import { describeAttacks } from './withstand.ts'

describeAttacks('upstreams', ATTACKS_BY_UPSTREAMS)

import { ATTACKS_BY_CALLERS } from './attacks-by-callers.ts'
import { describeAttacks } from './withstand.ts'

describeAttacks('callers', ATTACKS_BY_CALLERS)

import { Http1Transport } from '../../providers/transport/http1/http1-transport.ts'
import { describeTransport } from './transport.ts'

describeTransport('HTTP/1.1', (origin, options) => new Http1Transport(origin, options))

// Buffers, streams, compression, cryptography, worker threads, children and a server:
// node buffers.js FILE. What node takes from malloc are buffers and the insides of its libraries.
const fs = require('fs'), zlib = require('zlib'), crypto = require('crypto'), http = require('http')
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads')
const { spawnSync, spawn } = require('child_process')
const sha = (data) => crypto.createHash('sha256').update(data).digest('hex').slice(0, 16)

if (!isMainThread) {
    const parts = []
    for (let i = 0; i < 400; i++) parts.push(Buffer.alloc(20000 + i, workerData.seed + i))
    parentPort.postMessage(sha(Buffer.concat(parts)))
} else main()

async function main() {
    const text = fs.readFileSync(process.argv[2])
    const pieces = []
    for (let i = 0; i + 50000 < text.length; i += 50000) pieces.push(Buffer.from(text.subarray(i, i + 50000)))
    console.log(pieces.length, sha(Buffer.concat(pieces)))
    const packed = zlib.deflateSync(text, { level: 6 })
    console.log('deflate', packed.length, sha(zlib.inflateSync(packed)))
    const brotli = zlib.brotliCompressSync(text.subarray(0, 3000000), { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } })
    console.log('brotli', sha(zlib.brotliDecompressSync(brotli)))
    const cipher = crypto.createCipheriv('aes-256-ctr', Buffer.alloc(32, 1), Buffer.alloc(16, 2))
    console.log('aes', sha(Buffer.concat([cipher.update(text), cipher.final()])))
    console.log('scrypt', crypto.scryptSync('secret', 'salt', 32, { N: 16384, r: 8, maxmem: 64 << 20 }).toString('hex'))
    console.log('child', sha(spawnSync('sort', { input: text, maxBuffer: 1 << 26 }).stdout))
    const workers = [1, 2, 3, 4].map((seed) => new Promise((done, fail) =>
        new Worker(__filename, { workerData: { seed } }).on('message', done).on('error', fail)))
    console.log('workers', (await Promise.all(workers)).join(' '))

    const server = http.createServer((request, response) => {
        const parts = []
        request.on('data', (part) => parts.push(part))
        request.on('end', () => response.end(Buffer.concat(parts).reverse()))
    })
    await new Promise((done) => server.listen(0, '127.0.0.1', done))
    const ask = (body) => new Promise((done, fail) => {
        const request = http.request({ port: server.address().port, host: '127.0.0.1', method: 'POST' }, (response) => {
            const parts = []
            response.on('data', (part) => parts.push(part)).on('end', () => done(Buffer.concat(parts)))
        }).on('error', fail)
        request.end(body)
    })
    const answers = await Promise.all(pieces.slice(0, 60).map((piece) => ask(piece)))
    console.log('http', answers.filter((answer, i) => Buffer.from(answer).reverse().equals(pieces[i])).length)
    server.close()
    const out = fs.createWriteStream('copy')
    fs.createReadStream(process.argv[2], { highWaterMark: 1 << 16 }).pipe(zlib.createGzip()).pipe(zlib.createGunzip()).pipe(out)
    await new Promise((done) => out.on('finish', done))
    console.log('streams', sha(fs.readFileSync('copy')), pieces.every((piece, i) => piece.equals(text.subarray(i * 50000, i * 50000 + 50000))))
}

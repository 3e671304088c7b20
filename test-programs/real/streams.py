"""asyncio: servers, clients, subprocesses and many tasks, over a heap that is mostly swapped out."""

import asyncio
import hashlib

ballast = [f"ballast {number}" * 20 for number in range(60000)]


async def answer(reader, writer):
    while line := await reader.readline():
        start = int(line)
        text = "".join(ballast[start : start + 400])
        writer.write(hashlib.sha256(text.encode()).hexdigest().encode() + b"\n")
        writer.write(len(text).to_bytes(8, "little") + text.encode())
        await writer.drain()
    writer.close()


async def client(port, number):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    wrong = 0
    for step in range(8):
        writer.write(f"{(number * 997 + step * 7919) % 59000}\n".encode())
        digest = await reader.readline()
        text = await reader.readexactly(int.from_bytes(await reader.readexactly(8), "little"))
        wrong += hashlib.sha256(text).hexdigest() != digest.strip().decode()
    writer.close()
    return wrong


async def child(number):
    process = await asyncio.create_subprocess_exec(
        "sha256sum", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    text = "".join(ballast[number * 1000 : number * 1000 + 1000]).encode()
    out, _ = await process.communicate(text)
    return out.split()[0].decode() != hashlib.sha256(text).hexdigest()


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print("clients", await asyncio.gather(*(client(port, number) for number in range(40))))
    print("children", await asyncio.gather(*(child(number) for number in range(12))))
    await asyncio.gather(*(asyncio.sleep(number % 10 / 100) for number in range(5000)))
    lines = await asyncio.gather(*(asyncio.to_thread(sum, map(len, ballast[n::50])) for n in range(50)))
    print("threads", sum(lines))
    server.close()


asyncio.run(main())
print(hashlib.sha256("".join(ballast).encode()).hexdigest())

// What Azurite has no options for. It ends when its standard input ends, which it does when the starter is gone, however
// that went; and once told to end it does not wait for idle connections, for what it holds in memory is lost anyway.
process.stdin.on("end", () => process.kill(process.pid, "SIGTERM")).resume();
process.on("SIGTERM", () => setTimeout(() => process.exit(0), 300).unref());

// A scenario is told in steps. The first that fails ends it.

export async function step(name, run) {
  try {
    await run();
    console.log(`ok   ${name}`);
  } catch (error) {
    console.log(`FAIL ${name}\n${error?.stack ?? error}`);
    process.exit(1);
  }
}

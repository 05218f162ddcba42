import { Command } from 'commander';
import { loadAddon } from '../addon.js';
import type { Answer } from '../answer.js';
import { findDemoModel, findDemoPictures } from '../demo-model.js';
import { translated } from '../engine.js';
import { formatBytes } from '../quantity.js';
import { Interruption } from './interruption.js';
import { openModel } from './model-flags.js';
import { readScenes } from './scene.js';
import { SceneShow, type ShownAnswer } from './scene-show.js';
import { StageBar } from './stage-bar.js';
import { formatTable } from './table.js';
import { isForeground } from './thumbnail/foreground.js';
import { detectProtocol, type Protocol } from './thumbnail/protocol.js';

const REAL = 'Salesforce/xgen-mm-phi3-mini-instruct-interleave-r-v1.5';

/** What people call what takes time, in the order in which it happens. */
const STAGES: Record<keyof Answer['timings'], string> = {
  decode: 'decoding pictures',
  preprocess: 'cutting tiles',
  vision: 'vision tower',
  resample: 'resampler',
  prefill: 'reading prompts',
  generate: 'writing answers',
};

export function demoCommand(): Command {
  return new Command('demo')
    .summary('show what the toy model that comes with the package says of drawn scenes')
    .description(
      'Asks the toy model that comes with the package about drawn scenes, and says which answers are right. Small copies of the pictures are shown where the terminal can.',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ xgen-mm demo
  $ xgen-mm ask demo --image my.png "What color is the star?"`,
    )
    .action(demo);
}

async function demo(): Promise<void> {
  await Interruption.guard(async ({ signal }) => {
    const scenes = await readScenes(findDemoPictures());
    const protocol = await findProtocol();
    signal.throwIfAborted();
    const start = performance.now();
    const model = await openModel('demo', {}, new StageBar(), signal);
    try {
      const { device, threads } = model.info;
      const loaded = `loaded in ${ms(performance.now() - start)}: ${device}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
      print(...introduction(), '', `demo.gguf, ${loaded}`);
      const show = new SceneShow(model, protocol, signal);
      const shown: ShownAnswer[] = [];
      for (const scene of scenes) {
        print('');
        shown.push(...(await show.show(scene)));
      }
      print('', ...summary(shown), '', ...nextSteps());
    } finally {
      await model.dispose();
    }
  });
}

async function findProtocol(): Promise<Protocol | undefined> {
  const { stdin: input, stdout: output, env, platform } = process;
  const foreground = isForeground();
  const { protocol, typed } = await detectProtocol({ input, output, env, platform, foreground });
  if (typed > 0) {
    process.stderr.write(
      `Note: ${typed} ${typed === 1 ? 'key' : 'keys'} pressed while the terminal was asked whether it shows pictures went unread\n`,
    );
  }
  return protocol;
}

function introduction(): string[] {
  const { fileBytes, tensors } = translated(() => loadAddon().inspectFile(findDemoModel(), 0));
  const parameters = tensors.reduce((sum, { elements }) => sum + elements, 0);
  return [
    `This model is a toy: ${(parameters / 1e6).toFixed(1)} million parameters in ${formatBytes(fileBytes)}; a real xGen-MM has some 4,400 million. It knows`,
    'drawn scenes and nothing else. What runs it is what runs the real one: decoding, tiles, vision tower,',
    'resampler, language model and streaming are the same.',
  ];
}

function summary(shown: readonly ShownAnswer[]): string[] {
  const right = shown.filter(({ verdict }) => verdict.right).length;
  const rows = Object.entries(STAGES).map(([stage, name]) => [
    name,
    ms(shown.reduce((sum, { timings }) => sum + timings[stage as keyof typeof STAGES], 0)),
  ]);
  return [
    `Score: ${right} of ${shown.length} answers right`,
    '',
    'Time that all answers together took',
    ...formatTable(rows).map((row) => `  ${row}`),
  ];
}

function nextSteps(): string[] {
  return [
    'What to do next',
    '  Ask the toy about a scene that you have drawn yourself:',
    '    npx xgen-mm ask demo --image my.png "What color is the star?"',
    '  Get a real model, which knows photographs (the README lists all four):',
    `    npx xgen-mm pull ${REAL}`,
    `    npx xgen-mm ask hf:${REAL} --image photo.jpg "What is in this picture?"`,
  ];
}

function ms(time: number): string {
  return `${time.toFixed(time < 10 ? 1 : 0)} ms`;
}

function print(...lines: string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

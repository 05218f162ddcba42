import { Command } from 'commander';
import { GPUS } from '../device/gpu.js';
import type { NativeCores, NativeDevice } from '../native.js';
import { formatBytes } from '../quantity.js';
import { type Diagnosis, diagnose, type Fault } from './diagnosis.js';
import { visible, visibleJson } from './visible.js';

export function doctorCommand(version: string): Command {
  return new Command('doctor')
    .summary('say whether this installation works')
    .description(
      'Says what this installation consists of and whether all of it works; if not, the exit code is 1.',
    )
    .option('--json', 'print everything as JSON; sizes are in bytes')
    .addHelpText(
      'after',
      `
Examples:
  $ xgen-mm doctor
  $ xgen-mm doctor --json > report.json`,
    )
    .action(async ({ json }: { json?: true }) => {
      const diagnosis = await diagnose(version);
      const output = json ? visibleJson(diagnosis, 2) : describeDiagnosis(diagnosis);
      process.stdout.write(`${output}\n`);
      if (!diagnosis.usable) process.exitCode = 1;
    });
}

function describeDiagnosis(diagnosis: Diagnosis): string {
  const { version, node, platform, arch, cpu, processors, addon, system, gpus, sharp, usable } = diagnosis;
  const facts: [string, string][] = [
    ['xgen-mm', version],
    ['Node.js', `${node} on ${platform}-${arch}`],
    ['CPU', `${cpu.trim() || 'unknown'}, ${count(processors, 'processor')}`],
    ['addon', 'fault' in addon ? failed(addon.fault) : `${addon.origin}, ${addon.path}`],
  ];
  // Without an addon the reason is the same.
  if ('fault' in system && !('fault' in addon)) facts.push(['', failed(system.fault)]);
  if (!('fault' in system)) {
    facts.push(['cores', describeCores(system.cores)]);
    facts.push(['threads', `${system.defaultThreads} unless told otherwise`]);
    facts.push(['kernels', system.instructions.join(' ') || 'in plain C++']);
    facts.push(['ggml', system.ggmlVersion]);
    for (const { name, features } of system.backends) {
      const present = Object.entries(features).map(([feature, value]) =>
        value === '1' ? feature : `${feature}=${value}`,
      );
      facts.push(['backend', present.length === 0 ? name : `${name}: ${present.join(' ')}`]);
    }
    for (const device of system.devices) facts.push(['device', describeDevice(device)]);
  }
  if (!('fault' in gpus)) {
    for (const gpu of GPUS) {
      const state = gpus[gpu];
      if (!state.usable) facts.push([gpu, `not used: ${state.reason}`]);
      else {
        const from = state.addon === undefined ? '' : `; ${state.addon.origin}, ${state.addon.path}`;
        facts.push(...state.devices.map((device): [string, string] => [gpu, describeDevice(device) + from]));
      }
    }
    facts.push(['auto', `device: 'auto' computes on '${gpus.auto}'`]);
  }
  facts.push([
    'sharp',
    'fault' in sharp
      ? `${failed(sharp.fault)}; without it no picture is read: install without --omit=optional`
      : `${sharp.version} with libvips ${sharp.libvips}, reads ${sharp.formats.join(' ')}`,
  ]);
  facts.push(['verdict', usable ? 'all usable' : 'not usable']);
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, fact]) => `${name.padEnd(width)}  ${visible(fact)}`).join('\n');
}

function describeDevice({ name, description, kind, freeBytes, totalBytes }: NativeDevice): string {
  const free = freeBytes === totalBytes ? '' : `${formatBytes(freeBytes)} free of `;
  return `${name} (${kind}, ${description}), ${free}${formatBytes(totalBytes)}`;
}

/** Those that the process may use. */
function describeCores({ physical, fast, quota }: NativeCores): string {
  const parts = [`${physical} physical`];
  if (fast < physical) parts.push(`${count(fast, 'performance core')} among them`);
  if (quota > 0) parts.push(`limited to the time of ${count(quota, 'processor')}`);
  return parts.join(', ');
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function failed({ message, code }: Fault): string {
  return `FAILED: ${message.split('\n')[0]} (${code})`;
}

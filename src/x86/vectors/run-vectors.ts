/**
 * Runs a set of vectors on one engine and counts. Vectors marked soft record a choice of the implementation: they are run and
 * reported, and nobody is judged by them.
 */
import type { EngineName } from "../engine";
import { compareOutcome } from "./compare";
import type { Vector } from "./vector";
import { VectorMachine } from "./vector-machine";

export interface VectorFailure {
  readonly id: string;
  readonly label: string;
  /** Hex of the code. */
  readonly code: string;
  /** What silicon had and what we got, one line each. */
  readonly differences: readonly string[];
}

export interface VectorReport {
  passed: number;
  failed: number;
  softPassed: number;
  softFailed: number;
  /** The first failures that are not soft, in file order. */
  failures: VectorFailure[];
}

const FAILURES_KEPT = 10;

/** Runs vectors one after the other; a machine can be kept for several sets. */
export function runVectors(vectors: Iterable<Vector>, machine: VectorMachine): VectorReport {
  const report: VectorReport = { passed: 0, failed: 0, softPassed: 0, softFailed: 0, failures: [] };
  for (const vector of vectors) {
    const differences = runVector(vector, machine);
    const hasPassed = differences.length === 0;
    if (vector.soft !== undefined) {
      if (hasPassed) report.softPassed++;
      else report.softFailed++;
    } else if (hasPassed) report.passed++;
    else {
      report.failed++;
      if (report.failures.length < FAILURES_KEPT)
        report.failures.push({ id: vector.id, label: vector.n, code: vector.b, differences });
    }
  }
  return report;
}

function runVector(vector: Vector, machine: VectorMachine): string[] {
  const result = machine.run(vector);
  return "failure" in result ? [result.failure] : [...compareOutcome(vector, result.outcome), ...result.memory];
}

/** A machine with the named engine. */
export function createVectorMachine(engine: EngineName): VectorMachine {
  return new VectorMachine(engine);
}

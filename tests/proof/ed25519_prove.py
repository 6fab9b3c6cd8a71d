#!/usr/bin/env python3
"""Proves the field arithmetic of Ed25519 with Z3; ed25519.md says what and how.

  tests/proof/ed25519_prove.py          (z3 on PATH; a C++20 compiler in CXX, else c++; a minute)

ed25519_record.cpp writes down what the code does, this file reads it.

Of every single operation: for all inputs within the stated bounds, the exact result is within its type, so that nothing
overflows or wraps. It is done step by step: the bounds of the operands, proven before, give bounds of the result, and Z3 is
asked for a counterexample to each. Then of whole functions: as integers, result = wanted + p * (something), also by Z3.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493


class Form:
    def __init__(self, bits):
        self.bits = bits
        if bits == 51:
            self.count = 5
            self.types = {"L": (0, 2**64 - 1), "W": (0, 2**128 - 1)}
            self.tight = (0, 2**51 + 2**13)
        else:
            self.count = 9
            self.types = {"L": (-(2**31), 2**31 - 1), "W": (-(2**63), 2**63 - 1)}
            self.tight = (-(2**28) - 2**16, 2**28 + 2**16)
        self.types["S"] = (-(2**63), 2**63 - 1)

    def summands(self, n):
        return (self.tight[0] * n, self.tight[1] * n)

    # function -> list of {input name without its number: bounds}
    def cases(self):
        tight = self.tight
        point = {name: tight for name in ("px", "py", "pz", "pt", "qs", "qd", "qp")}
        both = {
            "double_point": [point],
            "add_multiple": [point],
            "subtract_multiple": [point],
            "fe_freeze": [{"a": tight}],
            "sc_fold": [{"x": (0, 2**28 - 1)}],
        }
        if self.bits == 51:
            below = lambda bits: (0, 2**bits - 1)
            return both | {
                "fe_add": [{"a": below(63), "b": below(63)}],
                "fe_sub": [{"a": below(63), "b": self.summands(3)}],
                "fe_mul": [{"a": below(54), "b": below(54)}],
                "fe_square": [{"a": below(54)}],
                "fe_carry": [{"a": below(58)}],
            }
        pairs = lambda ns: [{"a": self.summands(s), "b": self.summands(t)} for s, t in ns]
        seven = [(s, 7 - s) for s in range(1, 7)]
        return both | {
            "fe_add": pairs(seven),
            "fe_sub": pairs(seven),
            "fe_mul": pairs([(7, 1), (6, 2), (4, 3), (3, 4), (2, 6), (1, 7)]),
            "fe_square": [{"a": self.summands(3)}],
            "fe_carry": [{"a": self.summands(7)}],
        }

    # The bounds that the results must have, whatever was found on the way.
    def results(self, function, name, case):
        if function == "fe_freeze":
            return (0, 2**self.bits - 1)
        if function == "sc_fold":
            # With limbs 0 to 7 not negative this is a number from -2^225 to 2^252 + 2^224.
            return (0, 2**28 - 1) if name != "r8" else (-2, 2**28)
        if function == "fe_add":
            return tuple(x + y for x, y in zip(case["a"], case["b"]))
        if function == "fe_sub":
            if self.bits == 51:
                return (0, case["a"][1] + 2**53)
            return (case["a"][0] - case["b"][1], case["a"][1] - case["b"][0])
        return self.tight


class Z3:
    """One process; queries that were asked before are not asked again."""

    def __init__(self):
        self.process = subprocess.Popen(["z3", "-in"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.asked = set()
        self.count = 0

    def refute(self, what, text):
        """Fails unless Z3 finds that the assertions cannot hold."""
        if text in self.asked:
            return
        self.asked.add(text)
        self.count += 1
        self.process.stdin.write("(push)\n" + text + "\n(check-sat)\n(pop)\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer != "unsat":
            sys.exit(f"not proven ({answer}): {what}\n{text[:2000]}")


def number(n):
    return str(n) if n >= 0 else f"(- {-n})"


def within(term, bounds):
    return f"(and (<= {number(bounds[0])} {term}) (<= {term} {number(bounds[1])}))"


# Polynomials: {tuple of sorted symbols: coefficient}
def plus(a, b, times=1):
    r = dict(a)
    for m, c in b.items():
        r[m] = r.get(m, 0) + times * c
        if r[m] == 0:
            del r[m]
    return r


def product(a, b):
    r = {}
    for m, c in a.items():
        for n, d in b.items():
            key = tuple(sorted(m + n))
            r[key] = r.get(key, 0) + c * d
    return {m: c for m, c in r.items() if c}


def smt(poly):
    terms = ["(* " + " ".join([number(c), *m]) + ")" if m else number(c) for m, c in poly.items()]
    return "(+ 0 0 " + " ".join(terms) + ")"


class Function:
    """One recorded function with bounds for its inputs."""

    def __init__(self, form, z3, name, lines, case, polynomials):
        self.form, self.z3, self.name, self.case = form, z3, name, case
        self.bounds, self.term, self.poly, self.constant = {}, {}, {}, {}
        self.quotient = {}  # (id, bits) -> symbol of its floor(x / 2^bits)
        self.floor_of = {}  # symbol -> (polynomial, bits)
        self.symbols = []
        self.definitions = []
        self.inputs, self.outputs = {}, {}
        self.polynomials = polynomials
        self.operations = 0
        for line in lines:
            self.step(line.split())

    def prove_range(self, node, kind, claim, term, hypotheses, sort):
        declared = "".join(f"(declare-const {symbol} {sort})" for symbol, _ in hypotheses)
        assumed = "".join(f"(assert {within(symbol, bounds)})" for symbol, bounds in hypotheses)
        self.z3.refute(
            f"{self.name} ({self.form.bits}), value {node}",
            declared + assumed + f"(assert (not (and {within(term, claim)} {within(term, self.form.types[kind])})))",
        )

    def shift(self, x, bits):
        if (x, bits) not in self.quotient:
            symbol = f"q{len(self.quotient)}"
            self.quotient[x, bits] = symbol
            self.symbols.append(symbol)
            if self.polynomials:
                self.floor_of[symbol] = (self.poly[x], bits)
                self.definitions.append((symbol, self.term[x], bits))
        return self.quotient[x, bits]

    def step(self, words):
        what = words[0]
        if what == "out":
            wanted = self.form.results(self.name, words[2], self.case)
            got = self.bounds[int(words[1])]
            if not (wanted[0] <= got[0] and got[1] <= wanted[1]):
                sys.exit(f"{self.name} ({self.form.bits}): {words[2]} is within {got}, not {wanted}")
            self.outputs[words[2]] = int(words[1])
            return
        node, kind = int(words[1]), words[2]
        limits = self.form.types[kind]
        if what == "in":
            self.bounds[node] = self.case[words[3].rstrip("0123456789")]
            self.term[node], self.poly[node] = words[3], {(words[3],): 1}
            self.inputs[words[3]] = node
            self.symbols.append(words[3])
            return
        if what == "const":
            value = int(words[3])
            assert limits[0] <= value <= limits[1]
            self.constant[node] = value
            self.bounds[node], self.term[node] = (value, value), number(value)
            self.poly[node] = {(): value} if value else {}
            return
        a = int(words[3])
        low, high = self.bounds[a]
        self.operations += 1
        if what == "cast":
            # Never cuts anything off.
            self.prove_range(node, kind, (low, high), "x", [("x", (low, high))], "Int")
            self.bounds[node], self.term[node], self.poly[node] = (low, high), self.term[a], self.poly[a]
            if a in self.constant:
                self.constant[node] = self.constant[a]
            return
        b = int(words[4])
        poly = {}
        if what == "shr":
            bits = self.constant[b]
            bounds = (low >> bits, high >> bits)
            self.prove_range(node, kind, bounds, f"(div x {2**bits})", [("x", (low, high))], "Int")
            symbol = self.shift(a, bits)
            self.term[node], poly = symbol, {(symbol,): 1}
        elif what == "and":
            mask = self.constant[b]
            bits = mask.bit_length()
            assert mask == 2**bits - 1
            bounds = (low, high) if 0 <= low and high <= mask else (0, mask)
            self.prove_range(node, kind, bounds, f"(mod x {2**bits})", [("x", (low, high))], "Int")
            symbol = self.shift(a, bits)
            self.term[node] = f"(- {self.term[a]} (* {2**bits} {symbol}))"
            if self.polynomials:
                poly = plus(self.poly[a], {(symbol,): 2**bits}, -1)
        else:
            other = self.bounds[b]
            sign = {"add": "+", "sub": "-", "mul": "*"}[what]
            self.term[node] = f"({sign} {self.term[a]} {self.term[b]})" if self.polynomials else ""
            if what == "add":
                bounds = (low + other[0], high + other[1])
            elif what == "sub":
                bounds = (low - other[1], high - other[0])
            else:
                ends = [x * y for x in (low, high) for y in other]
                bounds = (min(ends), max(ends))
                if a == b and low < 0:
                    bounds = (0, max(ends))
            if self.polynomials:
                if what == "mul":
                    poly = product(self.poly[a], self.poly[b])
                else:
                    poly = plus(self.poly[a], self.poly[b], 1 if what == "add" else -1)
            rounded = self.remainder(a, b) if what == "sub" else None
            if rounded:
                # x - 2^bits * floor((x + half) / 2^bits): what is left of x when the nearest multiple is taken away.
                bits, half = rounded
                bounds = (-half, 2**bits - 1 - half)
                term = f"(- x (* {2**bits} (div (+ x {half}) {2**bits})))"
                self.prove_range(node, kind, bounds, term, [("x", (low, high))], "Int")
            else:
                # Reals include the integers, and products of them are decided quickly.
                term, hypotheses = f"({sign} x y)", [("x", (low, high)), ("y", other)]
                if a == b:
                    term, hypotheses = f"({sign} x x)", hypotheses[:1]
                self.prove_range(node, kind, bounds, term, hypotheses, "Real")
        self.bounds[node], self.poly[node] = bounds, poly

    # Whether a - b has the shape above: b = 2^bits * q, q the floor of (a + half) / 2^bits. The trace says so, by ids.
    def remainder(self, a, b):
        made = MADE.get(b)
        if not made or made[0] != "mul" or made[2] not in self.constant:
            return None
        bits = self.constant[made[2]].bit_length() - 1
        if self.constant[made[2]] != 2**bits:
            return None
        shifted = MADE.get(made[1])
        if not shifted or shifted[0] != "shr" or self.constant[shifted[2]] != bits:
            return None
        if shifted[1] == a:
            return bits, 0
        rounded = MADE.get(shifted[1])
        if not rounded or rounded[0] != "add" or rounded[1] != a or rounded[2] not in self.constant:
            return None
        return bits, self.constant[rounded[2]]

    def value(self, name, count, bits, source):
        total = {}
        for i in range(count):
            node = source[f"{name}{i}"]
            total = plus(total, self.poly[node], 2 ** (bits * i))
        return total

    def term_of(self, name, count, bits, source):
        return "(+ 0 " + " ".join(f"(* {2 ** (bits * i)} {self.term[source[f'{name}{i}']]})" for i in range(count)) + ")"

    def prove_equal(self, modulus, out, wanted_poly, wanted_term, bits=None, count=None):
        """out = wanted + modulus * quotient, for all values of the inputs and carries whatever they are."""
        bits, count = bits or self.form.bits, count or self.form.count
        difference = plus(self.value(out, count, bits, self.outputs), wanted_poly, -1)
        for c in difference.values():
            if c % modulus:
                sys.exit(f"{self.name} ({self.form.bits}) is not congruent")
        quotient = {m: c // modulus for m, c in difference.items()}
        # An identity of polynomials, so that it may as well be shown for all reals, which is quick.
        declared = "".join(f"(declare-const {s} Real)" for s in self.symbols)
        self.z3.refute(
            f"{self.name} ({self.form.bits}), congruence",
            declared
            + f"(assert (not (= (- {self.term_of(out, count, bits, self.outputs)} {wanted_term}) (* {modulus} {smt(quotient)}))))",
        )

    def prove_frozen(self):
        """0 <= out < p and out = in modulo p, where the carries matter: their definitions are given."""
        declared = "".join(f"(declare-const {s} Int)" for s in self.symbols)
        assumed = "".join(f"(assert {within(n, self.bounds[i])})" for n, i in self.inputs.items())
        defined = "".join(
            f"(assert (and (<= (* {2**bits} {s}) {t}) (< {t} (* {2**bits} (+ {s} 1)))))" for s, t, bits in self.definitions
        )
        out = self.term_of("r", self.form.count, self.form.bits, self.outputs)
        before = self.term_of("a", self.form.count, self.form.bits, self.inputs)
        self.z3.refute(
            f"{self.name} ({self.form.bits}), canonical",
            declared + assumed + defined + f"(declare-const k Int)(assert (not (and (<= 0 {out}) (< {out} {P}))))",
        )
        self.z3.refute(
            f"{self.name} ({self.form.bits}), congruence",
            declared + assumed + defined + f"(assert (not (= 0 (mod (- {out} {before}) {P}))))",
        )


# What made each value, by its number.
MADE = {}


def record(bits):
    root = pathlib.Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "record")
        subprocess.run(
            [os.environ.get("CXX", "c++"), "-std=c++20", "-O1", "-w", f"-DPOSTERN_ED25519_LIMBS={bits}"]
            + [f"-I{root}/core/src", f"-I{root}/core/include", f"{root}/tests/proof/ed25519_record.cpp", "-o", program],
            check=True,
        )
        return subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()


def read(lines):
    MADE.clear()
    functions, current = [], None
    for line in lines:
        words = line.split()
        if words[0] == "begin":
            current = (words[1], int(words[2]), [])
        elif words[0] == "end":
            functions.append(current)
        else:
            current[2].append(line)
            if words[0] not in ("in", "const", "out", "cast"):
                MADE[int(words[1])] = (words[0], int(words[3]), int(words[4]))
    return functions


def prove(z3, name, bits, lines):
    form = Form(bits)
    field = name.startswith("fe_") or name == "sc_fold"
    shown, operations, cases = "no overflow", 0, form.cases()[name]
    for case in cases:
        f = Function(form, z3, name, lines, case, field)
        operations = f.operations
        if not field:
            shown = "no overflow; results tight"
            continue
        if name == "sc_fold":
            f.prove_equal(L, "r", f.value("x", 19, 28, f.inputs), f.term_of("x", 19, 28, f.inputs), 28, 9)
            shown = "no overflow; in bounds; = x modulo L"
            continue
        if name == "fe_freeze":
            f.prove_frozen()
            shown = "no overflow; in [0, p); = a modulo p"
            continue
        a, a_term = f.value("a", form.count, bits, f.inputs), f.term_of("a", form.count, bits, f.inputs)
        if name == "fe_carry":
            wanted, term, shown = a, a_term, "no overflow; tight; = a modulo p"
        elif name == "fe_square":
            wanted, term, shown = product(a, a), f"(* {a_term} {a_term})", "no overflow; tight; = a * a modulo p"
        else:
            b, b_term = f.value("b", form.count, bits, f.inputs), f.term_of("b", form.count, bits, f.inputs)
            sign = {"fe_add": "+", "fe_sub": "-", "fe_mul": "*"}[name]
            term = f"({sign} {a_term} {b_term})"
            wanted = product(a, b) if sign == "*" else plus(a, b, 1 if sign == "+" else -1)
            shown = f"no overflow; {'tight; ' if sign == '*' else ''}= a {sign} b modulo p"
        f.prove_equal(P, "r", wanted, term)
    return f"{name:18} {bits} bits  {operations:5} operations  {len(cases)} choice{'s' if len(cases) > 1 else ' '} of bounds  {shown}"


def main():
    z3 = Z3()
    for bits in (51, 29):
        for name, _, lines in read(record(bits)):
            print(prove(z3, name, bits, lines), flush=True)
    print(f"proven, with {z3.count} queries to Z3")


main()

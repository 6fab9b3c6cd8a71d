#!/usr/bin/python3
"""Proves things about core/src/ec_field.h, for all inputs within the stated bounds: of both curves, in both shapes of limbs.

Reads the C file that is compiled (the preprocessor's output, parsed by pycparser), runs each function on symbols instead of numbers and
checks after every single operation that its exact result fits the type it has in C. Loops have constant bounds and are run through; a
condition on symbols is followed both ways.

A value is, side by side,
  - an interval that holds it,
  - a polynomial over the integers in the inputs and in one new variable for each shift: x >> n is a new q, and x & (2^n - 1) is
    x - 2^n q,
  - a term for Z3 with the same meaning, made without the polynomial: where the polynomial says that two results are equal modulo p, Z3
    is asked whether they can differ, and where an interval is too coarse, Z3 is asked about that too.

README.md beside this file lists what comes out. Needs gcc, python3-pycparser and python3-z3.
"""
import pathlib
import subprocess
import sys
import time

import z3
from pycparser import c_ast, c_parser

HERE = pathlib.Path(__file__).resolve().parent
# Another folder as the argument: to see that a changed copy is not proven. Then a curve's bits, for that one alone.
SOURCE = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent.parent / "core" / "src"

CURVES = [int(bits) for bits in sys.argv[2:]] or [256, 384]

# SP 800-186, 3.2.1.3 and 3.2.1.4.
P = {256: 2**256 - 2**224 + 2**192 + 2**96 - 1, 384: 2**384 - 2**128 - 2**96 + 2**32 - 1}
N = {
    256: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    384: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
# Bits and number of limbs, as limbs.h has them.
SHAPES = {256: [(29, 9), (52, 5)], 384: [(28, 14), (56, 7)]}


class Fault(Exception):
    pass


# ------------------------------------------------------------------------------------------------------------------- C types

class Type:
    def __init__(self, name, bits, signed):
        self.name, self.bits, self.signed = name, bits, signed
        self.low = -(2 ** (bits - 1)) if signed else 0
        self.high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1


INT, UINT = Type("int", 32, True), Type("unsigned", 32, False)
LONG, ULONG = Type("long", 64, True), Type("unsigned long", 64, False)
WIDE128 = Type("__int128", 128, True)
BASIC = {"int": INT, "unsigned int": UINT, "long": LONG, "long int": LONG, "unsigned long": ULONG, "wide128": WIDE128}


def common(a, b):
    """The usual arithmetic conversions, for the five types above (none is narrower than int)."""
    if a.bits != b.bits:
        return a if a.bits > b.bits else b
    return b if a.signed else a


# -------------------------------------------------------------------------------------------------------------------- values

class Value:
    __slots__ = ("type", "low", "high", "poly", "term")

    def __init__(self, ctype, low, high, poly, term):
        self.type, self.low, self.high, self.poly, self.term = ctype, low, high, poly, term

    def constant(self):
        return self.low if self.low == self.high else None


def number(value, ctype=INT):
    return Value(ctype, value, value, {(): value} if value else {}, z3.IntVal(value))


def poly_add(a, b, factor=1):
    if a is None or b is None:
        return None
    out = dict(a)
    for key, coefficient in b.items():
        total = out.get(key, 0) + factor * coefficient
        if total:
            out[key] = total
        else:
            out.pop(key, None)
    return out


def poly_mul(a, b):
    if a is None or b is None:
        return None
    out = {}
    for ka, ca in a.items():
        for kb, cb in b.items():
            key = tuple(sorted(ka + kb))
            total = out.get(key, 0) + ca * cb
            if total:
                out[key] = total
            else:
                out.pop(key, None)
    return out


NO_TERM = z3.Int("none")  # of values of which only the interval is kept


class Run:
    """One way through the functions under test: the new variables, what is known of them, and the decisions taken."""

    def __init__(self, decisions):
        self.intervals_only = False
        self.names = 0
        self.facts = []
        self.shifts = {}
        self.decisions = list(decisions)
        self.taken = []
        self.operations = 0

    def fresh(self, low, high, ctype, label="q"):
        if self.intervals_only:
            return Value(ctype, low, high, None, NO_TERM)
        self.names += 1
        name = f"{label}{self.names}"
        term = z3.Int(name)
        self.facts += [term >= low, term <= high]
        return Value(ctype, low, high, {(name,): 1}, term)

    def fits(self, value, ctype, what):
        """The value as one of this type: signed types must hold it, unsigned ones wrap around."""
        self.operations += 1
        if value.low >= ctype.low and value.high <= ctype.high:
            return Value(ctype, value.low, value.high, value.poly, value.term)
        if ctype.signed:
            if not self.intervals_only and self.impossible(z3.Or(value.term < ctype.low, value.term > ctype.high)):
                low, high = max(value.low, ctype.low), min(value.high, ctype.high)
                return Value(ctype, low, high, value.poly, value.term)
            raise Fault(f"{what}: [{value.low}, {value.high}] does not fit {ctype.name}")
        return self.low_bits(value, ctype.bits, ctype)

    def impossible(self, claim):
        solver = z3.Solver()
        solver.set("timeout", 60000)
        solver.add(*self.facts)
        solver.add(claim)
        return solver.check() == z3.unsat

    def shift_right(self, value, bits, ctype):
        if value.poly is None:
            return Value(ctype, value.low >> bits, value.high >> bits, None, NO_TERM)
        if all(coefficient % 2**bits == 0 for coefficient in value.poly.values()):  # exact
            poly = {key: coefficient >> bits for key, coefficient in value.poly.items()}
            quotient = Value(ctype, value.low >> bits, value.high >> bits, poly, z3.FreshInt())
            self.facts.append(quotient.term * 2**bits == value.term)
            return quotient
        key = (tuple(sorted(value.poly.items())), bits)
        if key not in self.shifts:
            quotient = self.fresh(value.low >> bits, value.high >> bits, ctype)
            rest = value.term - quotient.term * 2**bits
            self.facts += [rest >= 0, rest < 2**bits]
            self.shifts[key] = quotient
        known = self.shifts[key]
        return Value(ctype, known.low, known.high, known.poly, known.term)

    def low_bits(self, value, bits, ctype):
        if value.low >= 0 and value.high < 2**bits:
            return Value(ctype, value.low, value.high, value.poly, value.term)
        if value.poly is None:
            return Value(ctype, 0, 2**bits - 1, None, NO_TERM)
        quotient = self.shift_right(value, bits, ctype)
        poly = poly_add(value.poly, quotient.poly, -(2**bits))
        if not poly:
            return number(0, ctype)
        return Value(ctype, 0, 2**bits - 1, poly, value.term - quotient.term * 2**bits)

    def product(self, a, b, ctype):
        ends = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high]
        if a.poly is None or b.poly is None:
            term = NO_TERM
        elif a.constant() is not None or b.constant() is not None:
            term = a.term * b.term
        else:  # Z3 gets a variable for each product of two variables: what is asked of it is linear then
            term = z3.Sum([z3.IntVal(0)] + [factor * self.monomial(key) for key, factor in poly_mul(a.poly, b.poly).items()])
        return Value(ctype, min(ends), max(ends), poly_mul(a.poly, b.poly), term)

    def monomial(self, key):
        """Z3's variable for one, or for the product of two (as far as the facts go, any number)."""
        return z3.Int(" ".join(key)) if key else z3.IntVal(1)

    def decide(self, term):
        """Both ways are followed, one in this run and the other in a later one (`every_run`)."""
        choice = self.decisions.pop(0) if self.decisions else True
        self.taken.append(choice)
        self.facts.append(term if choice else z3.Not(term))
        return choice


def every_run(body):
    """Runs `body` once for each way through its conditions; a way that cannot be taken is left out by Z3."""
    waiting, runs = [[]], 0
    while waiting:
        decisions = waiting.pop()
        run = Run(decisions)
        body(run)
        for i in range(len(decisions), len(run.taken)):
            waiting.append(run.taken[:i] + [False])
        runs += 1
    return runs


# --------------------------------------------------------------------------------------------------------------- interpreter

class Cell:
    """A variable, an array element or a structure's member."""

    def __init__(self, value=None):
        self.value = value


class Return(Exception):
    def __init__(self, value):
        self.value = value


# What the field's functions have been proven to do, on polynomials (without the factor R, which each product takes away).
IDEAL = {
    "ec_mul": lambda r, a, b: poly_mul(a, b),
    "ec_square": lambda r, a: poly_mul(a, a),
    "ec_mul_sub": lambda r, a, b, c, d: poly_add(poly_mul(a, b), poly_mul(c, d), -1),
    "ec_add": lambda r, a, b: poly_add(a, b),
    "ec_sub": lambda r, a, b: poly_add(a, b, -1),
    "ec_carry": lambda r: r,
}
IDEAL |= {name.replace("ec_", "ec_lanes_"): what for name, what in IDEAL.items()}


class Program:
    def __init__(self, field_bits, bits):
        text = subprocess.run(
            ["gcc", "-E", "-P", "-w", "-nostdinc", "-DPOSTERN_PROOF", f"-DPOSTERN_FIELD_BITS={field_bits}", f"-DPOSTERN_LIMB_BITS={bits}", f"-I{HERE / 'include'}", f"-I{SOURCE}",
             str(SOURCE / "ec_lanes.h")], check=True, capture_output=True, text=True).stdout
        self.typedefs, self.functions, self.globals = dict(BASIC), {}, {}
        self.run, self.last_quotient, self.ideal = None, None, False
        for item in c_parser.CParser().parse(text).ext:
            if isinstance(item, c_ast.Typedef):
                self.typedef(item)
            elif isinstance(item, c_ast.FuncDef):
                self.functions[item.decl.name] = item
            elif isinstance(item, c_ast.Decl) and isinstance(item.type, c_ast.Enum):
                for enumerator in item.type.values.enumerators:
                    self.globals[enumerator.name] = Cell(self.in_new_run(lambda e=enumerator: self.evaluate(e.value, {})))
            elif isinstance(item, c_ast.Decl) and isinstance(item.type, c_ast.FuncDecl):
                continue  # it is defined further down
            elif isinstance(item, c_ast.Decl):
                self.globals[item.name] = self.in_new_run(lambda d=item: self.declare(d, {}))

    def in_new_run(self, body):
        self.run = Run([])
        return body()

    def typedef(self, item):
        if item.name == "wide128":  # include/stdint.h can only say that it is some type
            return
        inner = item.type.type
        if isinstance(inner, c_ast.Struct):
            self.typedefs[item.name] = [(name.name, name.type) for name in inner.decls]
        else:
            self.typedefs[item.name] = self.basic(inner)

    def basic(self, node):
        return self.typedefs[" ".join(node.names)]

    def make(self, ctype):
        """Storage of a declared type: a Cell, a list for an array, a dict for a structure."""
        if isinstance(ctype, c_ast.ArrayDecl):
            size = self.evaluate(ctype.dim, {}).constant()
            return [self.make(ctype.type) for _ in range(size)]
        if isinstance(ctype, c_ast.TypeDecl):
            kind = self.basic(ctype.type)
            if isinstance(kind, list):
                return {name: self.make(member) for name, member in kind}
            return Cell()
        return Cell()

    def fill(self, storage, init, kind, scope):
        if isinstance(storage, Cell):
            storage.value = self.convert(self.evaluate(init, scope), kind)
            return
        items = init.exprs if isinstance(init, c_ast.InitList) else [init]
        places = storage if isinstance(storage, list) else list(storage.values())
        for i, place in enumerate(places):
            if i < len(items):
                self.fill(place, items[i], kind, scope)
            else:
                self.zero(place, kind)

    def zero(self, storage, kind):
        if isinstance(storage, Cell):
            storage.value = number(0, kind)
        else:
            for place in storage if isinstance(storage, list) else storage.values():
                self.zero(place, kind)

    def element_kind(self, ctype):
        while isinstance(ctype, (c_ast.ArrayDecl, c_ast.PtrDecl)):
            ctype = ctype.type
        kind = self.basic(ctype.type)
        return self.element_kind(kind[0][1]) if isinstance(kind, list) else kind

    def declare(self, item, scope):
        storage = self.make(item.type)
        if item.name == "quotient":
            self.last_quotient = storage
        kind = self.element_kind(item.type)
        if item.init is not None:
            self.fill(storage, item.init, kind, scope)
        self.note_kind(storage, kind)
        return storage

    def note_kind(self, storage, kind):
        if isinstance(storage, Cell):
            storage.kind = kind
        else:
            for place in storage if isinstance(storage, list) else storage.values():
                self.note_kind(place, kind)

    def convert(self, value, kind):
        return self.run.fits(value, kind, "conversion")

    # ---- statements

    def call(self, name, arguments):
        if self.ideal and name in IDEAL:
            arguments[0]["ideal"] = IDEAL[name](*[argument.get("ideal") for argument in arguments])
            return None
        function = self.functions[name]
        scope = {}
        for parameter, argument in zip(function.decl.type.args.params, arguments):
            if isinstance(argument, Value):
                cell = Cell(self.convert(argument, self.element_kind(parameter.type)))
                cell.kind = self.element_kind(parameter.type)
                scope[parameter.name] = cell
            else:
                scope[parameter.name] = argument
        try:
            self.execute(function.body, scope)
        except Return as result:
            if result.value is None:
                return None
            return self.convert(result.value, self.basic(function.decl.type.type.type))
        return None

    def execute(self, node, scope):
        if isinstance(node, c_ast.Compound):
            inner = Scope(scope)
            for item in node.block_items or []:
                self.execute(item, inner)
        elif isinstance(node, c_ast.Decl):
            scope.define(node.name, self.declare(node, scope))
        elif isinstance(node, c_ast.DeclList):
            for item in node.decls:
                self.execute(item, scope)
        elif isinstance(node, c_ast.For):
            inner = Scope(scope)
            self.execute(node.init, inner)
            while self.truth(node.cond, inner):
                self.execute(node.stmt, inner)
                self.evaluate(node.next, inner)
        elif isinstance(node, c_ast.If):
            if self.truth(node.cond, scope):
                self.execute(node.iftrue, Scope(scope))
            elif node.iffalse is not None:
                self.execute(node.iffalse, Scope(scope))
        elif isinstance(node, c_ast.Return):
            raise Return(None if node.expr is None else self.evaluate(node.expr, scope))
        elif not isinstance(node, c_ast.EmptyStatement):
            self.evaluate(node, scope)

    def truth(self, node, scope):
        value = self.evaluate(node, scope)
        if value.constant() is None:
            raise Fault("a condition that is no comparison")
        return value.constant() != 0

    # ---- expressions

    def place(self, node, scope):
        if isinstance(node, c_ast.ID):
            return scope[node.name] if node.name in scope else self.globals[node.name]
        if isinstance(node, c_ast.ArrayRef):
            array = self.place(node.name, scope)
            index = self.evaluate(node.subscript, scope).constant()
            if index is None or not 0 <= index < len(array):
                raise Fault(f"index {index} of {len(array)}")
            return array[index]
        if isinstance(node, c_ast.StructRef):  # a pointer to a structure and the structure are the same here
            return self.place(node.name, scope)[node.field.name]
        if isinstance(node, c_ast.UnaryOp) and node.op == "&":
            return self.place(node.expr, scope)
        raise Fault(f"no place: {type(node).__name__}")

    def argument(self, node, scope):
        if isinstance(node, (c_ast.ID, c_ast.StructRef, c_ast.ArrayRef)) or isinstance(node, c_ast.UnaryOp) and node.op == "&":
            place = self.place(node, scope)
            return self.load(place) if isinstance(place, Cell) else place
        return self.evaluate(node, scope)

    def load(self, cell):
        if cell.value is None:
            raise Fault("read before it was written")
        return cell.value

    def evaluate(self, node, scope):
        if isinstance(node, c_ast.Constant):
            text = node.value
            if "U" in text.upper():
                return number(int(text.rstrip("uUlL"), 0), ULONG)
            value = int(text.rstrip("lL"), 0)
            # Hexadecimal constants without a suffix take the first of int, unsigned, long that holds them (C99 6.4.4.1).
            kinds = [INT, UINT, LONG, ULONG] if text.lower().startswith("0x") else [INT, LONG]
            return number(value, next(kind for kind in kinds if value <= kind.high))
        if isinstance(node, (c_ast.ID, c_ast.ArrayRef, c_ast.StructRef)):
            return self.load(self.place(node, scope))
        if isinstance(node, c_ast.Cast):
            return self.convert(self.evaluate(node.expr, scope), self.basic(node.to_type.type.type))
        if isinstance(node, c_ast.Assignment):
            place = self.place(node.lvalue, scope)
            value = self.evaluate(node.rvalue, scope)
            if node.op != "=":
                value = self.binary(node.op[:-1], self.load(place), value)
            place.value = self.convert(value, place.kind)
            return place.value
        if isinstance(node, c_ast.UnaryOp):
            if node.op in ("p++", "++", "p--"):
                place = self.place(node.expr, scope)
                place.value = self.binary(node.op[-1], place.value, number(1))
                return place.value
            if node.op == "-":
                value = self.evaluate(node.expr, scope)
                return self.binary("-", number(0, value.type), value)
            raise Fault(f"operator {node.op}")
        if isinstance(node, c_ast.BinaryOp):
            if node.op in ("&&", "||"):
                left = self.truth(node.left, scope)
                if left == (node.op == "||"):
                    return number(int(left))
                return number(int(self.truth(node.right, scope)))
            return self.binary(node.op, self.evaluate(node.left, scope), self.evaluate(node.right, scope))
        if isinstance(node, c_ast.TernaryOp):
            return self.evaluate(node.iftrue if self.truth(node.cond, scope) else node.iffalse, scope)
        if isinstance(node, c_ast.FuncCall):
            return self.call(node.name.name, [self.argument(a, scope) for a in (node.args.exprs if node.args else [])])
        raise Fault(f"cannot run {type(node).__name__}")

    @staticmethod
    def term(a, b, sign):
        if a.poly is None or b.poly is None:
            return NO_TERM
        return a.term + b.term if sign > 0 else a.term - b.term

    def binary(self, op, a, b):
        run = self.run
        if op in ("<<", ">>"):
            kind, bits = a.type, b.constant()
            if bits is None or not 0 <= bits < kind.bits:
                raise Fault(f"shift of {kind.name} by {bits}")
            if op == "<<":
                return run.fits(run.product(a, number(2**bits), kind), kind, "<<")
            run.operations += 1
            return run.shift_right(a, bits, kind)
        kind = common(a.type, b.type)
        a, b = run.fits(a, kind, "conversion"), run.fits(b, kind, "conversion")
        if op == "+":
            return run.fits(Value(kind, a.low + b.low, a.high + b.high, poly_add(a.poly, b.poly), self.term(a, b, 1)), kind, "+")
        if op == "-":
            return run.fits(Value(kind, a.low - b.high, a.high - b.low, poly_add(a.poly, b.poly, -1), self.term(a, b, -1)), kind, "-")
        if op == "*":
            return run.fits(run.product(a, b, kind), kind, "*")
        if op == "&":
            mask = b.constant()
            if mask is None or mask & (mask + 1):
                raise Fault("& with what is no mask")
            run.operations += 1
            return run.low_bits(a, mask.bit_length(), kind)
        if op in ("<", "<=", ">", ">=", "=="):
            compare = {"<": lambda x, y: x < y, "<=": lambda x, y: x <= y, ">": lambda x, y: x > y, ">=": lambda x, y: x >= y,
                       "==": lambda x, y: x == y}[op]
            if a.constant() is not None and b.constant() is not None:
                return number(int(compare(a.low, b.low)))
            return number(int(run.decide(compare(a.term, b.term))))
        raise Fault(f"operator {op}")


class Scope:
    def __init__(self, outer):
        self.own, self.outer = {}, outer

    def define(self, name, storage):
        self.own[name] = storage

    def __contains__(self, name):
        return name in self.own or name in self.outer

    def __getitem__(self, name):
        return self.own[name] if name in self.own else self.outer[name]


# -------------------------------------------------------------------------------------------------------------------- claims

class Shape:
    """The bounds that ec_field.h states in words. `top` bounds are those of the highest limb."""

    def __init__(self, field_bits, bits, count):
        self.program = Program(field_bits, bits)
        self.field_bits, self.bits, self.count = field_bits, bits, count
        self.p, self.n = P[field_bits], N[field_bits]
        self.radix = 2**bits
        self.r = 2 ** (bits * self.count)
        top = 2 ** (field_bits - bits * (self.count - 1))
        wide = self.radix - 1
        # (lower limbs' least and greatest, top limb's least and greatest)
        self.tight = (0, wide, -top - 8, 2 * top + 8)
        self.carried = (-8, self.radix + 8, -top // 8, top + top // 8)
        self.canonical = (0, wide, 0, top - 1)
        self.point_y = (-self.radix - 8, self.radix + 8, -2 * top - 8, 2 * top + 8)  # of a point to add: with either sign
        self.either = (-8, self.radix + 8, -top - 8, 2 * top + 8)  # tight or carried
        self.difference = (-self.radix - 16, self.radix + 16, -3 * top - 16, 3 * top + 16)
        self.double = (-2 * self.radix - 16, 2 * self.radix + 16, -2 * top - 16, 4 * top + 16)
        self.twice_tight = (0, 2 * wide, -2 * top - 16, 4 * top + 16)
        self.two_products = (0, wide, -top - top // 4, 2 * top + top // 4)
        self.anything = (-3 * self.radix, 3 * self.radix, -64 * top, 64 * top)

    def limb(self):
        return self.program.typedefs["limb"]

    def element(self, bounds, label):
        """A field element with any limbs within the bounds."""
        run, cells = self.program.run, []
        for i in range(self.count):
            low, high = bounds[2:] if i == self.count - 1 else bounds[:2]
            cell = Cell(run.fresh(low, high, self.limb(), label))
            cell.kind = self.limb()
            cells.append(cell)
        return {"v": cells}

    def blank(self):
        cells = [Cell() for _ in range(self.count)]
        self.program.note_kind(cells, self.limb())
        return {"v": cells}

    def value(self, element):
        """(polynomial, Z3 term) of the number that the limbs make."""
        poly, term = {}, z3.IntVal(0)
        for i, cell in enumerate(element["v"]):
            poly = poly_add(poly, cell.value.poly, self.radix**i)
            term = term + cell.value.term * self.radix**i
        return poly, term

    def inside(self, element, bounds, what):
        for i, cell in enumerate(element["v"]):
            low, high = bounds[2:] if i == self.count - 1 else bounds[:2]
            value = cell.value
            if value.low >= low and value.high <= high:
                continue
            if value.poly is None or not self.program.run.impossible(z3.Or(value.term < low, value.term > high)):
                raise Fault(f"{what}: limb {i} in [{value.low}, {value.high}], wanted [{low}, {high}]")


def multiple_of(poly, modulus):
    """The polynomial divided by the modulus, if all of its coefficients are multiples; else None."""
    if any(coefficient % modulus for coefficient in poly.values()):
        return None
    return {key: coefficient // modulus for key, coefficient in poly.items()}


def prove_equal(shape, modulus, left, right, what):
    """left = right modulo `modulus`, for (polynomial, term) pairs.

    The polynomials' difference must be, coefficient by coefficient, a multiple; the same multiple is then put to Z3, whose terms
    were made on the way without the polynomials.
    """
    quotient = multiple_of(poly_add(left[0], right[0], -1), modulus)
    if quotient is None:
        raise Fault(f"{what}: not equal modulo {modulus:#x}")
    run = shape.program.run
    term = z3.Sum([z3.IntVal(0)] + [factor * run.monomial(key) for key, factor in quotient.items()])
    if not run.impossible(left[1] - right[1] != modulus * term):
        raise Fault(f"{what}: Z3 does not agree")


def multiplication(shape, name, bounds, products, out_bounds):
    """No overflow; out_bounds kept; result R = sum of products, modulo p."""

    def body(run):
        shape.program.run = run
        inputs = [shape.element(b, label) for b, label in zip(bounds, "abcd")]
        out = shape.blank()
        shape.program.call(name, [out] + inputs)
        shape.inside(out, out_bounds, name)
        left = shape.value(out)
        poly, term = {}, z3.IntVal(0)
        for sign, i, j in products:
            poly = poly_add(poly, poly_mul(shape.value(inputs[i])[0], shape.value(inputs[j])[0]), sign)
            for x, a in enumerate(inputs[i]["v"]):
                for y, b in enumerate(inputs[j]["v"]):
                    term = term + sign * shape.radix ** (x + y) * run.product(a.value, b.value, WIDE128).term
        scaled = ({key: value * shape.r for key, value in left[0].items()}, left[1] * shape.r)
        prove_equal(shape, shape.p, scaled, (poly, term), name)

    return body


def linear(shape, name, bounds, combine, out_bounds, in_place=False):
    """No overflow; out_bounds kept; result = the combination of the inputs, modulo p."""

    def body(run):
        shape.program.run = run
        inputs = [shape.element(b, label) for b, label in zip(bounds, "ab")]
        before = [shape.value(element) for element in inputs]
        out = inputs[0] if in_place else shape.blank()
        shape.program.call(name, [out] + ([] if in_place else inputs))
        shape.inside(out, out_bounds, name)
        poly, term = {}, z3.IntVal(0)
        for factor, (input_poly, input_term) in zip(combine, before):
            poly, term = poly_add(poly, input_poly, factor), term + factor * input_term
        prove_equal(shape, shape.p, shape.value(out), (poly, term), name)

    return body


def canonical(shape):
    def body(run):
        shape.program.run = run
        value = shape.element(shape.anything, "a")
        out = shape.blank()
        shape.program.call("ec_canonical", [out, value])
        if run.impossible(z3.BoolVal(True)):
            return  # this way cannot be taken
        shape.inside(out, (0, shape.radix - 1, -(2**60), 2**60), "ec_canonical")
        prove_equal(shape, shape.p, shape.value(out), shape.value(value), "ec_canonical")
        _, term = shape.value(out)
        if not run.impossible(z3.Or(term < 0, term >= shape.p)):
            raise Fault("ec_canonical: not in [0, p)")

    return body


def scalar_product(shape):
    """No overflow; result R = a b modulo n; result in [0, 2n)."""

    def body(run):
        shape.program.run = run
        a, b = shape.element(shape.canonical, "a"), shape.element(shape.canonical, "b")
        out = shape.blank()
        shape.program.call("ec_scalar_product", [out["v"], a["v"], b["v"]])
        shape.inside(out, (0, shape.radix - 1, 0, 2 * shape.radix), "ec_scalar_product")
        product = poly_mul(shape.value(a)[0], shape.value(b)[0])
        scaled = {key: value * shape.r for key, value in shape.value(out)[0].items()}
        quotient = multiple_of(poly_add(scaled, product, -1), shape.n)
        if quotient is None:
            raise Fault("ec_scalar_product: not equal modulo n")
        # result R = a b + n M, and M is what is cleared limb by limb: each limb of it is the low bits of something.
        limbs = shape.program.last_quotient
        total = {}
        for i, cell in enumerate(limbs):
            if not (cell.value.low >= 0 and cell.value.high < shape.radix):
                raise Fault("ec_scalar_product: a quotient limb out of range")
            total = poly_add(total, cell.value.poly, shape.radix**i)
        if poly_add(total, quotient, -1):
            raise Fault("ec_scalar_product: the multiple of n is another one")
        if (2**shape.field_bits - 1) * (2 * shape.n - 1) + shape.n * (shape.r - 1) >= 2 * shape.n * shape.r:
            raise Fault("ec_scalar_product: not below 2n")

    return body


def scalar_canonical(shape):
    """No overflow; result = a modulo n, in [0, n), for a in [0, 2n)."""

    def body(run):
        shape.program.run = run
        element = shape.element((0, shape.radix - 1, 0, 2 * shape.radix), "a")
        poly, term = shape.value(element)
        run.facts += [term < 2 * shape.n]
        shape.program.call("ec_scalar_canonical", [element["v"]])
        if run.impossible(z3.BoolVal(True)):
            return
        prove_equal(shape, shape.n, shape.value(element), (poly, term), "ec_scalar_canonical")
        value = shape.value(element)[1]
        if not run.impossible(z3.Or(value < 0, value >= shape.n)):
            raise Fault("ec_scalar_canonical: not in [0, n)")

    return body


def point_formula(shape, name, with_point):
    """No overflow anywhere inside; coordinates within bounds stay within them, so that it holds for any number of steps."""

    def body(run):
        shape.program.run = run
        run.intervals_only = True
        either = shape.either
        point = {"x": shape.element(either, "x"), "y": shape.element(either, "y"), "z": shape.element(either, "z")}
        arguments = [point]
        if with_point:
            arguments.append({"x": shape.element(either, "u"), "y": shape.element(shape.point_y, "v")})
        shape.program.call(name, arguments)
        shape.inside(point["x"], shape.carried, f"{name} x")
        shape.inside(point["y"], shape.carried if name.startswith("ec_lanes_") else shape.tight, f"{name} y")
        shape.inside(point["z"], shape.tight, f"{name} z")

    return body


def affine_addition(shape):
    """No overflow anywhere inside; the result is carried, so that it can be added again."""

    def body(run):
        shape.program.run = run
        run.intervals_only = True
        points = [{"x": shape.element(shape.carried, "x"), "y": shape.element(shape.point_y, "y")} for _ in range(2)]
        out = {"x": shape.blank(), "y": shape.blank()}
        shape.program.call("ec_add_two", [out] + points + [shape.element(shape.tight, "i")])
        shape.inside(out["x"], shape.carried, "ec_add_two x")
        shape.inside(out["y"], shape.carried, "ec_add_two y")

    return body


def point_law(shape, name, with_point):
    """The coordinates that come out are those of SEC 1, 2.2.1, as polynomials in the ones that went in."""

    def body(run):
        program = shape.program
        program.run, program.ideal = run, True
        try:
            x1, y1, z1, x2, y2 = ({(name,): 1} for name in ("x1", "y1", "z1", "x2", "y2"))
            point = {"x": {"ideal": x1}, "y": {"ideal": y1}, "z": {"ideal": z1}}
            arguments = [point] + ([{"x": {"ideal": x2}, "y": {"ideal": y2}}] if with_point else [])
            program.call(name, arguments)
        finally:
            program.ideal = False
        mul, add = poly_mul, poly_add
        zz = mul(z1, z1)
        zzz = mul(zz, z1)
        # The first point is (x1/z1^2, y1/z1^3). The slope is top/bottom with bottom = z3, the new z; both sides of the law are multiplied
        # with powers of z3.
        if with_point:  # slope (y2 - Y1)/(x2 - X1), times z1^3
            top, bottom = add(mul(y2, zzz), y1, -1), mul(z1, add(mul(x2, zz), x1, -1))
            other = mul(x2, zz)
        else:  # slope 3 (X1^2 - 1)/(2 Y1), times z1^4
            top = mul({(): 3}, add(mul(x1, x1), mul(zz, zz), -1))
            bottom = mul({(): 2}, mul(y1, z1))
            other = x1
        factor = divided_by(bottom, z1)  # z3 = z1 factor, so z3^2/z1^2 = factor^2
        new_x = add(mul(top, top), mul(add(x1, other), mul(factor, factor)), -1)
        cube = mul(mul(factor, factor), factor)
        new_y = add(mul(top, add(mul(x1, mul(factor, factor)), new_x, -1)), mul(y1, cube), -1)
        for wanted, coordinate in ((new_x, "x"), (new_y, "y"), (bottom, "z")):
            if add(point[coordinate]["ideal"], wanted, -1):
                raise Fault(f"{name}: {coordinate} is not what the group law says")

    return body


def divided_by(bottom, z1):
    """bottom / z1, z1 being one variable."""
    (name,) = next(iter(z1))
    out = {}
    for key, coefficient in bottom.items():
        rest = list(key)
        rest.remove(name)
        out[tuple(rest)] = coefficient
    return out


def main():
    sys.setrecursionlimit(100000)
    failed = 0
    for field_bits, bits, count in [(field_bits, *shape) for field_bits in CURVES for shape in SHAPES[field_bits]]:
        s = Shape(field_bits, bits, count)
        claims = [
            ("ec_mul", "differences: no overflow, tight, = a b / R mod p", multiplication(s, "ec_mul", [s.difference, s.difference], [(1, 0, 1)], s.tight)),
            ("ec_mul", "one of them a sum: the same", multiplication(s, "ec_mul", [s.double, s.difference], [(1, 0, 1)], s.tight)),
            ("ec_square", "a difference: no overflow, tight, = a a / R mod p", multiplication(s, "ec_square", [s.difference], [(1, 0, 0)], s.tight)),
            ("ec_mul_sub", "differences: no overflow, = (a b - c d) / R mod p",
             multiplication(s, "ec_mul_sub", [s.difference] * 4, [(1, 0, 1), (-1, 2, 3)], s.two_products)),
            ("ec_mul_sub", "d twice a tight one: the same",
             multiplication(s, "ec_mul_sub", [s.difference, s.difference, s.tight, s.twice_tight], [(1, 0, 1), (-1, 2, 3)], s.two_products)),
            ("ec_add", "tight or carried: no overflow, = a + b", linear(s, "ec_add", [s.either, s.either], [1, 1], s.double)),
            ("ec_sub", "tight or carried: no overflow, = a - b", linear(s, "ec_sub", [s.either, s.either], [1, -1], s.difference)),
            ("ec_negate", "tight or carried: no overflow, = -a", linear(s, "ec_negate", [s.either], [-1], s.difference)),
            ("ec_carry", "three times a limb: no overflow, carried, = a mod p", linear(s, "ec_carry", [s.anything], [1], s.carried, in_place=True)),
            ("ec_canonical", "|a| < 64 p: no overflow, = a mod p, in [0, p)", canonical(s)),
            ("ec_scalar_product", "a < 2^field_bits, b < 2n: no overflow, = a b / R mod n, in [0, 2n)", scalar_product(s)),
            ("ec_scalar_canonical", "a in [0, 2n): no overflow, = a mod n, in [0, n)", scalar_canonical(s)),
            ("ec_add_affine", "no overflow inside; x carried, y and z tight again", point_formula(s, "ec_add_affine", True)),
            ("ec_double", "no overflow inside; x carried, y and z tight again", point_formula(s, "ec_double", False)),
            ("ec_add_two", "no overflow inside; x and y carried", affine_addition(s)),
            ("ec_add_affine", "= the sum of SEC 1, 2.2.1, of different points", point_law(s, "ec_add_affine", True)),
            ("ec_double", "= the double of SEC 1, 2.2.1", point_law(s, "ec_double", False)),
        ]
        if bits == 29:  # the only limbs with lanes; each is a number here
            claims += [
                ("ec_lanes_mul", "differences: no overflow, tight, = a b / R mod p",
                 multiplication(s, "ec_lanes_mul", [s.difference, s.difference], [(1, 0, 1)], s.tight)),
                ("ec_lanes_square", "a difference: no overflow, tight, = a a / R mod p",
                 multiplication(s, "ec_lanes_square", [s.difference], [(1, 0, 0)], s.tight)),
                ("ec_lanes_mul_sub", "differences: no overflow, carried, = (a b - c d) / R mod p",
                 multiplication(s, "ec_lanes_mul_sub", [s.difference] * 4, [(1, 0, 1), (-1, 2, 3)], s.carried)),
                ("ec_lanes_sub", "tight or carried: no overflow, = a - b", linear(s, "ec_lanes_sub", [s.either, s.either], [1, -1], s.difference)),
                ("ec_lanes_carry", "three times a limb: no overflow, carried, = a mod p",
                 linear(s, "ec_lanes_carry", [s.anything], [1], s.carried, in_place=True)),
                ("ec_lanes_add_affine", "no overflow inside; x and y carried, z tight again", point_formula(s, "ec_lanes_add_affine", True)),
                ("ec_lanes_add_affine", "= the sum of SEC 1, 2.2.1, of different points", point_law(s, "ec_lanes_add_affine", True)),
            ]
        for name, what, body in claims:
            start = time.monotonic()
            operations = [0]

            def counted(run, body=body):
                body(run)
                operations[0] += run.operations

            try:
                ways = every_run(counted)
                verdict = f"proven   ({operations[0]} operations, {ways} way{'s' if ways > 1 else ''}, {time.monotonic() - start:.1f} s)"
            except Fault as fault:
                verdict = f"NOT PROVEN: {fault}"
                failed += 1
            print(f"P-{field_bits}, {bits}-bit limbs  {name:19} {what:60} {verdict}", flush=True)
    print(f"{failed} failed" if failed else "all proven")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""`numeric_array` takes what users have, loses nothing, and says in one sentence what it cannot take."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.experimental.sparse
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import scipy.sparse
from flax import nnx

from hullx import HullxError, Projection
from hullx.inputs import numeric_array


class Tensor:
    """As PyTorch's: NumPy reads it, or is told why not."""

    __module__ = "torch"

    def __init__(self, numbers: Any = None, dtype: str = "torch.float32") -> None:
        self.numbers, self.dtype = numbers, dtype

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        if self.numbers is None:
            raise TypeError("can't convert cuda:0 device type tensor to numpy.\nMore.")
        return np.asarray(self.numbers)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_floats_come_back_as_they_are(dtype: Any) -> None:
    array = np.ones((2, 3), dtype)
    assert numeric_array("points", array) is array
    with jax.enable_x64(True):
        other = jnp.asarray(array)
        assert numeric_array("points", other) is other
        struct = jax.ShapeDtypeStruct((2, 3), dtype)
        assert numeric_array("points", struct) is struct
        same: list[bool] = []
        jax.make_jaxpr(lambda traced: same.append(numeric_array("points", traced) is traced))(other)
        assert same == [True]


F32, F64 = np.float32, np.float64

TAKEN: dict[str, tuple[Any, Any, Any]] = {
    "bool": (np.array([True, False]), F32, [1, 0]),
    "uint8": (np.array([255], np.uint8), F32, [255]),
    "int4": (np.array([-8], ml_dtypes.int4), F32, [-8]),
    "int64 of 24 bits": (np.array([2**24, -(2**24)]), F32, [2**24, -(2**24)]),
    "int64 of 53 bits": (np.array([2**24 + 1, -(2**53)]), F64, [2**24 + 1, -(2**53)]),
    "uint64": (np.array([2**53], np.uint64), F64, [2**53]),
    "no integers": (np.zeros((0, 2), int), F32, np.zeros((0, 2))),
    "int32 of JAX": (jnp.array([2**24 + 1]), F64, [2**24 + 1]),
    "bool of JAX": (jnp.array([True]), F32, [1]),
    "float8": (np.array([0.125], ml_dtypes.float8_e4m3fn), F32, [0.125]),
    "big-endian floats": (np.array([0.1], ">f8"), F64, [0.1]),
    "big-endian integers": (np.array([2**24 + 1], ">i4"), F64, [2**24 + 1]),
    "a matrix": (np.eye(2).view(np.matrix), F64, np.eye(2)),
    "a Python float": (0.1, F64, 0.1),
    "a Python integer": (2**24 + 1, F64, 2**24 + 1),
    "a number of NumPy": (np.float32(0.5), F32, 0.5),
    "a list": ([1, 2], F32, [1, 2]),
    "an empty list": ([], F32, np.zeros(0)),
    "nested lists": ([(1, 2), [3, 0.1]], F64, [[1, 2], [3, 0.1]]),
    "a range": (range(3), F32, [0, 1, 2]),
    "a list of arrays": ([np.ones(2, np.uint8), jnp.zeros(2)], F32, [[1, 1], [0, 0]]),
    "a list of halves": ([np.ones(2, np.float16), np.ones(2, ml_dtypes.bfloat16)], F32, [[1, 1], [1, 1]]),
    "a list of numbers of JAX": ([jnp.float32(1), 2], F32, [1, 2]),
    "a parameter": (nnx.Param(jnp.ones(2)), F32, [1, 1]),
    "a parameter in float64": (nnx.Param(np.array([0.1])), F64, [0.1]),
    "a tensor": (Tensor(np.array([1, 2])), F32, [1, 2]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken(name: str) -> None:
    value, dtype, expected = TAKEN[name]
    found = numeric_array("points", value)
    assert found.dtype == dtype
    assert isinstance(found, np.ndarray | jax.Array)
    assert not isinstance(found, np.matrix)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, np.asarray(expected, dtype), strict=True)


REFUSED: dict[str, tuple[Any, str]] = {
    "54 bits": (
        np.array([2**53 + 1]),
        r"points: got an integer of size 9007199254740993, expected at most 2\*\*53.*: subtract",
    ),
    "the smallest int64": (np.array([-(2**63)]), "got an integer of size 9223372036854775808"),
    "the largest uint64": (np.array([2**64 - 1], np.uint64), "got an integer of size 18446744073709551615"),
    "a long integer among floats": ([np.nan, 2**53 + 1, 0.5], "got an integer of size 9007199254740993"),
    "an integer of 71 bits": ([[1], [2**70]], r"points\[1\]: got an integer of size 1180591620717411303424"),
    "int64 of JAX": (lambda: jax.enable_x64(True)(lambda: jnp.array([2**60]))(), "got an integer of size 1152921504606846976"),
    "complex": (np.ones(2, complex), r"points: got dtype complex128, expected real numbers: take points.real"),
    "objects": (
        np.ones(2, object),
        r"points: got dtype object, expected real numbers: convert with points.astype\('float64'\)",
    ),
    "strings": (np.array(["1"]), r"points: got dtype <U1, expected real numbers: convert with"),
    "dates": (np.ones(2, "M8[s]"), r"points: got dtype datetime64\[s\], expected real numbers: convert with"),
    "records": (np.ones(2, "i4,i4"), r"points: got dtype \[\('f0', .*, expected real numbers$"),
    "random keys": (jax.random.key(0), "points: got dtype key<fry>, expected real numbers$"),
    "long doubles": (np.ones(2, np.longdouble), r"points: got dtype .* \(extended precision\), expected float16, .*astype"),
    "a masked array": (np.ma.masked_less(np.eye(2), 1), r"points: got a masked array, .* points.filled\(0\), or drop"),
    "a masked array in a list": ([np.ma.masked_less(np.ones(2), 1)], r"points\[0\]: got a masked array"),
    "ragged lists": ([[1, 2], [3]], r"points: got parts of shapes \(1,\) and \(2,\), expected one shape: make all rows"),
    "a number beside a list": ([1, [2]], r"points: got parts of shapes \(\) and \(1,\), expected one shape"),
    "text in a list": ([[1, "a"]], r"points\[0\]\[1\]: got 'a', expected numbers$"),
    "None in a list": ([1, None], r"points\[1\]: got None, expected numbers$"),
    "text": ("abc", "points: got 'abc', expected numbers$"),
    "a dictionary": ({}, "points: got dict, expected an array: convert with numpy.asarray"),
    "a class": (np.ndarray, "points: got type, expected an array"),
    "a projection": (Projection(*[np.ones(2)] * 8), "points: got Projection, expected an array"),
    "a sparse matrix": (
        scipy.sparse.csr_matrix(np.eye(2)),
        r"points: got a sparse matrix \(csr_matrix\), expected a dense array: call points.toarray\(\)$",
    ),
    "a sparse array": (scipy.sparse.coo_array(np.eye(2)), r"points: got a sparse matrix \(coo_array\).*points.toarray\(\)"),
    "a sparse array of JAX": (
        lambda: jax.experimental.sparse.BCOO.fromdense(jnp.eye(2)),
        r"points: got a sparse matrix \(BCOO\), .*: call points.todense\(\)",
    ),
    "a tensor on a GPU": (
        Tensor(),
        r"points: got Tensor that NumPy cannot read \(can't .* to numpy\), expected an array: "
        r"convert with points.detach\(\).cpu\(\).numpy\(\)$",
    ),
    "a tensor of bfloat16": (Tensor(dtype="torch.bfloat16"), r"points.detach\(\).cpu\(\).float\(\).numpy\(\)$"),
    "a parameter of text": (nnx.Param("text"), "points: got 'text', expected numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    value, message = REFUSED[name]
    with pytest.raises(TypeError, match=message) as raised:
        numeric_array("points", value() if inspect.isfunction(value) else value)
    assert isinstance(raised.value, HullxError)
    assert "\n" not in str(raised.value)


def dtype_of(value: Any) -> Any:
    return numeric_array("points", value).dtype


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64])
@pytest.mark.parametrize("x64", [False, True])
def test_unknown_integers(dtype: Any, x64: bool) -> None:
    bits = np.dtype(dtype).itemsize * 8
    struct = jax.ShapeDtypeStruct((2,), dtype)
    asked: list[Callable[[], Any]] = [lambda: dtype_of(struct)]
    if x64 or bits < 64:
        asked.append(lambda: jax.eval_shape(lambda traced: numeric_array("points", traced), struct).dtype)
    with jax.enable_x64(x64):
        for ask in asked:
            if bits <= 16:
                assert ask() == np.float32
            elif bits == 32 and x64:
                assert ask() == np.float64
            else:
                remedy = "float64'), exact up to 2**53" if x64 else "float32'), exact up to 2**24, or use jax.enable_x64"
                with pytest.raises(TypeError, match="under jit, where its values are unknown") as raised:
                    ask()
                assert str(raised.value).endswith(remedy)


def test_tracers_in_lists_and_parameters() -> None:
    stack = jax.jit(lambda x: numeric_array("points", [x, nnx.Param(2 * x), [1, 0.5]]))
    np.testing.assert_array_equal(stack(jnp.ones(2)), [[1, 1], [2, 2], [1, 0.5]])
    jacobian = jax.jacobian(lambda x: numeric_array("points", [x, 1.0]))(2.0)
    np.testing.assert_array_equal(jacobian, [1, 0])


def test_constants_under_jit_stay_concrete() -> None:
    constant = jnp.array([1, 2])
    found: list[Any] = []
    jax.make_jaxpr(lambda x: found.append(numeric_array("points", constant)) or x)(1.0)
    np.testing.assert_array_equal(found[0], [1, 2])


def test_a_file_of_floats_is_not_read(tmp_path: Any) -> None:
    file = np.memmap(tmp_path / "points", np.float32, "w+", shape=(2, 2))
    assert numeric_array("points", file) is file


def test_pandas() -> None:
    pd = pytest.importorskip("pandas")
    floats = pd.DataFrame(np.ones((2, 3), np.float32))
    assert np.shares_memory(numeric_array("points", floats), floats.to_numpy())
    frame = pd.DataFrame({"a": [1, 2], "b": pd.array([3, None], "Int64"), "c": [True, False]})
    found = numeric_array("points", frame)
    np.testing.assert_array_equal(found, np.array([[1, 3, 1], [2, np.nan, 0]], np.float32), strict=True)
    repeated = pd.DataFrame([[1, 0.5], [2, 0.1]], columns=["a", "a"])
    np.testing.assert_array_equal(numeric_array("points", repeated), [[1, 0.5], [2, 0.1]])
    assert numeric_array("points", pd.DataFrame(index=range(2))).shape == (2, 0)
    for series, dtype, expected in (
        (pd.Series([2**53, None], dtype="Int64"), np.float64, [2**53, np.nan]),
        (pd.Series([True, None], dtype="boolean"), np.float32, [1, np.nan]),
        (pd.Series([0.5, None], dtype="Float32"), np.float32, [0.5, np.nan]),
        (pd.Series([0.0, 1.0], dtype="Sparse[float64]"), np.float64, [0, 1]),
        (pd.Index([1, 2]), np.float32, [1, 2]),
    ):
        np.testing.assert_array_equal(numeric_array("points", series), np.array(expected, dtype), strict=True)
    for value, message in (
        (frame.assign(city="x"), "points: got column 'city' of text, expected numbers: drop or encode it"),
        (frame.assign(city=pd.Series(["x", "y"], dtype=object)), "points: got column 'city' of text"),
        (frame.assign(city=pd.Series(["x", "y"], dtype="string")), "points: got column 'city' of text"),
        (frame.assign(kind=pd.Categorical(["x", "y"])), "points: got column 'kind' of dtype category, expected numbers: drop"),
        (frame.assign(day=pd.to_datetime(["2020", "2021"])), "points: got column 'day' of dtype datetime64"),
        (frame.assign(e=[2**53 + 1, 0]), r"points\['e'\]: got an integer of size"),
        (pd.Series([2**53 + 1, None], dtype="Int64"), "points: got an integer of size"),
        (pd.Series([1, None], dtype=object), "points: got a Series of dtype object"),
        (pd.Series(["x"]), "points: got a Series of text"),
    ):
        with pytest.raises(TypeError, match=message) as raised:
            numeric_array("points", value)
        assert isinstance(raised.value, HullxError)


def test_polars() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": [1, 2], "b": [3, None], "c": [True, False]})
    found = numeric_array("points", frame)
    np.testing.assert_array_equal(found, np.array([[1, 3, 1], [2, np.nan, 0]], np.float32), strict=True)
    assert numeric_array("points", pl.DataFrame()).shape == (0, 0)
    for series, dtype, expected in (
        (pl.Series([2**53, None], dtype=pl.UInt64), np.float64, [2**53, np.nan]),
        (pl.Series([True, None]), np.float32, [1, np.nan]),
        (pl.Series([0.5, None], dtype=pl.Float32), np.float32, [0.5, np.nan]),
    ):
        np.testing.assert_array_equal(numeric_array("points", series), np.array(expected, dtype), strict=True)
    for value, message in (
        (frame.with_columns(city=pl.lit("x")), "points: got column 'city' of text, expected numbers: drop or encode it"),
        (frame.with_columns(none=pl.lit(None)), "points: got column 'none' of dtype Null, expected numbers: drop"),
        (frame.lazy(), r"points: got a LazyFrame, expected a DataFrame: call points.collect\(\)"),
        (pl.Series([2**63 + 1, None], dtype=pl.UInt64), "points: got an integer of size 9223372036854775809"),
        (pl.Series([1], dtype=pl.Int128), "points: got a Series of dtype Int128"),
        (pl.Series(["x"]), "points: got a Series of text"),
    ):
        with pytest.raises(TypeError, match=message) as raised:
            numeric_array("points", value)
        assert isinstance(raised.value, HullxError)


def test_no_library_is_imported() -> None:
    script = "import sys, hullx.inputs; print({'pandas', 'polars', 'torch', 'flax'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stdout + done.stderr

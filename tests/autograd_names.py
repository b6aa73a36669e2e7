"""The functions of NumPy that HIPS autograd differentiates: a user who comes from there finds each of them."""

from __future__ import annotations

_NAMES = """
    abs add append arccos arccosh arcsin arcsinh arctan arctan2 arctanh array_split astype atleast_1d atleast_2d atleast_3d broadcast_to
    ceil clip column_stack concatenate conjugate copysign cos cosh cross cumsum deg2rad degrees diag diagonal diff divide dot dsplit
    dstack einsum exp exp2 expand_dims expm1 fabs flip fliplr flipud floor fmax fmin gradient hsplit hstack hypot imag inner kron log log10
    log1p log2 logaddexp logaddexp2 matmul maximum mean amax amin minimum moveaxis multiply nan_to_num negative outer pad partition power
    prod rad2deg radians ravel real real_if_close reciprocal remainder repeat reshape roll rollaxis rot90 round select sign sin sinc sinh
    sort split sqrt square squeeze stack std subtract sum swapaxes tan tanh tensordot tile trace transpose tril triu trunc var vsplit
    vstack where linalg.cholesky linalg.det linalg.inv linalg.norm linalg.slogdet linalg.solve
"""
# Without a rule in refgrad. A name that gains one moves up.
_WITHOUT_RULE = """
    angle array full linalg.eig linalg.eigh linalg.pinv linalg.svd fft.fft fft.ifft fft.fft2 fft.ifft2 fft.fftn fft.ifftn fft.rfft
    fft.irfft fft.rfftn fft.irfftn fft.fftshift fft.ifftshift
"""
NAMES = frozenset(_NAMES.split())
WITHOUT_RULE = frozenset(_WITHOUT_RULE.split())

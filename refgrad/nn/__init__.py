"""Functions of neural networks for which NumPy has no name.

All take NumPy arrays (or traced ones) of float16, float32, float64 or long double and keep the dtype. They are ordinary
functions: apply them to plain arrays, or differentiate code that calls them with grad, jvp, vjp and the rest.
"""

from __future__ import annotations

from refgrad.nn.activations import (
    elu,
    gelu,
    gelu_tanh,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_sigmoid,
    maxout,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
)
from refgrad.nn.attention import (
    scaled_dot_product_attention,
)
from refgrad.nn.batch_normalization import (
    batch_norm,
    instance_norm,
    local_response_norm,
    running_statistics,
)
from refgrad.nn.convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from refgrad.nn.embeddings import (
    embedding,
    embedding_bag,
    one_hot,
)
from refgrad.nn.formats import (
    cast_through,
)
from refgrad.nn.layers import (
    linear,
)
from refgrad.nn.logarithms import (
    entr,
    logit,
    xlog1py,
    xlogy,
)
from refgrad.nn.losses import (
    cross_entropy,
    hinge,
    kl_divergence,
    mean_squared_error,
    multiclass_hinge,
)
from refgrad.nn.max_pooling import (
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from refgrad.nn.normalizations import (
    group_norm,
    layer_norm,
    rms_norm,
)
from refgrad.nn.normalized_exponentials import (
    log_softmax,
    logsumexp,
    softmax,
)
from refgrad.nn.padding import (
    pad,
)
from refgrad.nn.places import (
    gather,
    index_add,
    index_select,
    scatter,
    scatter_add,
    scatter_reduce,
)
from refgrad.nn.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
)
from refgrad.nn.recurrent import (
    gru,
    gru_cell,
    lstm,
    lstm_cell,
    rnn_relu,
    rnn_relu_cell,
    rnn_tanh,
    rnn_tanh_cell,
)
from refgrad.nn.unfolding import (
    fold,
    unfold,
)

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "cast_through",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "elu",
    "embedding",
    "embedding_bag",
    "entr",
    "fold",
    "gather",
    "gelu",
    "gelu_tanh",
    "group_norm",
    "gru",
    "gru_cell",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge",
    "index_add",
    "index_select",
    "instance_norm",
    "kl_divergence",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_sigmoid",
    "log_softmax",
    "logit",
    "logsumexp",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "lstm",
    "lstm_cell",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "maxout",
    "mean_squared_error",
    "mish",
    "multiclass_hinge",
    "one_hot",
    "pad",
    "relu",
    "relu6",
    "rms_norm",
    "rnn_relu",
    "rnn_relu_cell",
    "rnn_tanh",
    "rnn_tanh_cell",
    "running_statistics",
    "scaled_dot_product_attention",
    "scatter",
    "scatter_add",
    "scatter_reduce",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softshrink",
    "softsign",
    "tanhshrink",
    "unfold",
    "xlog1py",
    "xlogy",
]

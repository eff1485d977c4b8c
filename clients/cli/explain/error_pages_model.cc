#include "clients/cli/explain/error_pages.h"

namespace trireme {

namespace {

constexpr ErrorPage kModelPages[] = {
    {"TRI-CONF-001",
     "A file of the model could not be read.",
     "The path of --model is wrong, the file is missing (a folder without config.json is not a "
     "model), is a link that leads nowhere, a folder or a pipe, or its permissions forbid reading.",
     "Check the path with ls; a model is a folder with config.json, *.safetensors and, for text, "
     "tokenizer.json."},
    {"TRI-CONF-002",
     "A JSON file of the model is not valid JSON, or is nested too deeply.",
     "The download is incomplete, the file is a Git LFS pointer instead of the file itself, or an "
     "editor saved it with a byte order mark.",
     "Do as the message says. A Git LFS pointer is replaced by `git lfs pull`; the first character "
     "of the file has to be {."},
    {"TRI-CONF-003",
     "A field of config.json is missing, of the wrong type, or out of range.",
     "The file was edited, or belongs to a newer format of the model family.",
     "The message names the field, the value and the allowed values; compare with the file that "
     "the model's publisher ships."},
    {"TRI-CONF-004",
     "The architecture of this model is not supported.",
     "config.json names a model_type that Trireme does not support.",
     "Use a model of a supported family; the message lists them, and `trireme models show DIR` "
     "shows what a folder holds."},
    {"TRI-CONF-005",
     "The checkpoint is quantised.",
     "config.json holds quantization_config: the weights are stored as int4, int8 or fp8.",
     "Use the bf16, fp16 or fp32 checkpoint of the same model."},
    {"TRI-CONF-006",
     "The scaling of rotary positions of this model is not supported.",
     "rope_scaling or rope_parameters names a type that is not built, holds a key of another "
     "model family (mrope_section, llama_4_scaling_beta, short_factor, ...), or a factor without "
     "the type that it belongs to.",
     "Supported are default, linear, dynamic (up to max_position_embeddings), llama3 and yarn; "
     "another checkpoint of the model may use one of them."},
    {"TRI-CONF-007",
     "A default of generation_config.json, or an end-of-sequence id, cannot be used: it is of the "
     "wrong type, out of range or not supported. The model is served without it. Or the maximum "
     "length ends with the first chunk of dual chunk attention.",
     "The file was edited, or uses a convention of another server, such as top_k -1, or the "
     "publisher recommends a way to sample that Trireme does not have.",
     "Nothing has to be done. To apply a default, correct the field that the message names, or "
     "send the value with each request. Without a default the temperature is 1 and there is no "
     "top-k, top-p or min-p."},
    {"TRI-CONF-008",
     "The shape is unknown.",
     "dummy: and `models make --like` take a published shape or the path of a config.json.",
     "`trireme models ls` lists the shapes; or give the path of a config.json."},
    {"TRI-CONF-010",
     "config.json sets a key that changes the arithmetic of the model, and that its family does "
     "not have.",
     "The model is a variant that only shares the name of its family: with soft caps, multipliers, "
     "experts, layers without rotary positions, attention to later tokens, ...",
     "Trireme would compute something other than this model, so it refuses. Use a checkpoint of "
     "the plain family. If the key is a leftover without meaning for this checkpoint, set it to "
     "null."},
    {"TRI-CONF-011",
     "The checkpoint is not a model that generates text.",
     "architectures in config.json names a classifier, a reward model, an embedder without a head, "
     "or another task.",
     "Use a checkpoint whose architectures end in ForCausalLM or LMHeadModel, or in "
     "ForConditionalGeneration where the text model stands in text_config."},
    {"TRI-LOAD-001",
     "The folder holds no weights in a supported format.",
     "The folder does not exist, its weights are in another format (*.bin, *.gguf, "
     "consolidated.*), it holds an adapter without the model, shards lack their "
     "model.safetensors.index.json, or a link leads to a file that is not there.",
     "Use the safetensors files of the model in the transformers format; Trireme does not convert "
     "formats. Merge an adapter into its base model and save that. Copy a snapshot of a cache with "
     "the files that its links stand for (cp -rL)."},
    {"TRI-LOAD-002",
     "A weights file cannot be opened or read.",
     "A shard that the index names is missing, permissions, a failing disk, a folder or pipe in "
     "place of the file, or a file that became shorter while it was read.",
     "Fetch the missing file; otherwise check the file with ls -l and the system log."},
    {"TRI-LOAD-003",
     "A safetensors file does not begin with a valid header.",
     "The download is incomplete, or the file is a Git LFS pointer, a web page or of another "
     "format; the message names it where it is known.",
     "Fetch the file again (git lfs pull, for a pointer) and compare its size with the "
     "publisher's."},
    {"TRI-LOAD-004",
     "The header of a safetensors file does not match its data: a tensor lies outside the file, "
     "overlaps another, leaves a gap, has a shape that does not match its length, or a type that "
     "the format does not have.",
     "An incomplete download, a damaged file, or one that another program wrote wrongly.",
     "Fetch the file again; the message names the tensor."},
    {"TRI-LOAD-005",
     "A tensor occurs in two shards, and model.safetensors.index.json names neither for it.",
     "Shards of two versions of a checkpoint lie in one folder.",
     "Fetch the index that belongs to the shards, or remove the shard that does not belong."},
    {"TRI-LOAD-006",
     "model.safetensors.index.json does not map tensors to shards.",
     "The file is damaged, or names a shard outside the folder.",
     "Fetch the index again."},
    {"TRI-LOAD-007",
     "A tensor that config.json requires is missing from the checkpoint.",
     "A shard is missing, config.json belongs to another model, an incomplete model.safetensors "
     "lies beside the index and its shards, or the head (lm_head.weight) is the embedding and "
     "config.json does not say so.",
     "Compare the folder with the publisher's list of files; the message names up to five of the "
     "tensors, and those that are stored instead. Where only the head or only the embedding is "
     "missing and the other serves for both, set \"tie_word_embeddings\": true in config.json."},
    {"TRI-LOAD-008",
     "The shape of a tensor differs from config.json.",
     "config.json and the weights belong to different models or versions.",
     "Fetch both from the same source."},
    {"TRI-LOAD-009",
     "A weight is stored in an unsupported type.",
     "A quantised checkpoint, or weights stored as integers or float64.",
     "Use the bf16, fp16 or fp32 checkpoint."},
    {"TRI-LOAD-020",
     "Tensors of the decoder have two different prefixes, or a tensor is stored under both.",
     "Two saves of a model were merged into one file or folder, for example one of the model and "
     "one of a wrapper around it (module., base_model.model., language_model.).",
     "Keep the files of one save. The prefix is that of embed_tokens.weight; the message names "
     "that tensor and the first one below another prefix."},
    {"TRI-LOAD-021",
     "A tensor of the decoder is stored that config.json does not announce; a run without it would "
     "give wrong answers.",
     "config.json belongs to another model or lacks a key (attention_bias, num_hidden_layers); "
     "the weights are quantised (scales, qweight); or an adapter (lora_A) is not merged.",
     "Fetch config.json and the weights from one source; merge the adapter; use the bf16 "
     "checkpoint. Tables of rotary embeddings, masks and position ids are ignored, and tensors "
     "outside the decoder (a vision tower) are named in a warning."},
    {"TRI-PLAN-001",
     "The model cannot be partitioned over this number of tensor-parallel ranks.",
     "The number does not divide the heads, or the KV heads can be neither divided nor replicated "
     "evenly.",
     "Use one of the values in the message; `trireme plan --model DIR` ranks the partitions."},
    {"TRI-PLAN-002",
     "The model cannot be partitioned into this number of stages.",
     "-pp is larger than the number of layers.",
     "Use a value in the range of the message; `trireme plan --model DIR` ranks the partitions."},
    {"TRI-MEM-001",
     "A rank could not allocate the memory that it needs.",
     "The weights and KV pages of the ranks on this host need more than it has, or a limit "
     "(cgroup, ulimit -v) is lower than the machine's memory.",
     "Use more ranks or hosts, or lower --kv-memory or --max-num-seqs; `trireme plan` shows what "
     "each rank needs."},
    {"TRI-MEM-002",
     "The KV memory of a rank does not hold one sequence of the maximum length.",
     "--kv-memory is small, or --max-model-len is long.",
     "Raise --kv-memory, lower --max-model-len, or use more ranks (-tp, -pp)."},
    {"TRI-KERN-001",
     "The instruction set of --isa is not available.",
     "The processor is older, or a virtual machine hides it.",
     "Use --isa auto, or one of the values that the message lists."},
    {"TRI-MOD-001",
     "The folder of --out cannot be used for a new checkpoint.",
     "The folder is not empty, or cannot be made.",
     "Name a new or an empty folder."},
    {"TRI-MOD-002",
     "A file of the new checkpoint could not be written.",
     "The disk became full, or the folder was removed.",
     "Make room, remove the incomplete folder and try again."},
    {"TRI-MOD-003",
     "The new checkpoint does not fit on the disk.",
     "The checkpoint is larger than the free space.",
     "Choose another --out, a smaller shape, or --dtype bfloat16."},
    {"TRI-MOD-010",
     "`models show` needs a model.",
     "No folder was named.",
     "Write trireme models show DIR, or trireme models show dummy:SHAPE."},
    {"TRI-MOD-011",
     "An argument of `models ls` is not a folder.",
     "A file or a path that does not exist.",
     "Name folders that hold models; without an argument the current folder is searched."},
    {"TRI-MOD-012",
     "Checkpoints cannot be written in this type.",
     "--dtype of `models make` is not a type in which weights are stored.",
     "Use bfloat16, float16 or float32."},
    {"TRI-MOD-013",
     "`models make` needs a shape and a folder.",
     "--like or --out is missing.",
     "Write trireme models make --like llama-3.2-1b --out DIR."},
    {"TRI-MOD-014",
     "`models` has no such part.",
     "A typing error.",
     "Use trireme models ls, show or make."},
    {"TRI-VERIFY-001",
     "The file of reference outputs is not in the format that `verify` reads.",
     "A tensor of the wrong type or shape, or a file of weights in its place.",
     "docs/formats.md describes the tensors; the message names the one that does not fit."},
    {"TRI-VERIFY-002",
     "The reference outputs belong to another model.",
     "The vocabulary, the number of layers or the hidden size differ.",
     "Use the expected.safetensors that belongs to this checkpoint."},
    {"TRI-VERIFY-003",
     "A sequence of the reference outputs is longer than the maximum length of the run.",
     "--max-model-len or memory limits the length, or config.json states fewer positions than the "
     "reference implementation used.",
     "Raise --max-model-len up to the model's positions (`trireme models show DIR`), or use "
     "shorter sequences."},
};

}  // namespace

std::span<const ErrorPage> model_error_pages() { return kModelPages; }

}  // namespace trireme

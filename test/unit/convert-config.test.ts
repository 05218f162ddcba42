import { join } from 'node:path';
import { describe, test } from 'vitest';
import { copyCheckpoint, editJson, expectRefusal } from './checkpoint.js';

type Sections = Record<string, unknown> &
  Record<'text_config' | 'vision_encoder_config', Record<string, unknown>>;

async function expectConfigRefusal(edit: (config: Sections) => void, code: string, message: string) {
  const folder = await copyCheckpoint();
  await editJson<Sections>(join(folder, 'config.json'), edit);
  await expectRefusal(folder, code, message);
}

describe('config.json', () => {
  const text = (values: object) => (config: Sections) => Object.assign(config.text_config, values);
  const vision = (values: object) => (config: Sections) =>
    Object.assign(config.vision_encoder_config, values);
  const resampler = (values: object) => (config: Sections) =>
    Object.assign(config.vision_tokenizer_config as object, values);

  test.each([
    [{ model_type: 'llava' }, 'Expected "xgenmm" for model_type in config.json, received "llava"'],
    [{ model_type: undefined }, 'Expected "xgenmm" for model_type in config.json, received undefined'],
  ])('of a foreign model: %j', async (values, message) => {
    await expectConfigRefusal((config) => Object.assign(config, values), 'MODEL_UNSUPPORTED', message);
  });

  test.each([
    [
      text({ rope_scaling: { type: 'longrope' } }),
      'Expected no rope_scaling in text_config in config.json, received "longrope"',
    ],
    [
      text({ model_type: 'phi4' }),
      'Expected "phi3" for model_type in text_config in config.json, received "phi4"',
    ],
    [text({ hidden_act: 'gelu' }), 'Expected "silu" for hidden_act'],
    [text({ partial_rotary_factor: 0.5 }), 'Expected 1 for partial_rotary_factor'],
    [vision({ hidden_act: 'gelu' }), 'Expected "gelu_pytorch_tanh" for hidden_act in vision_encoder_config'],
    [vision({ num_channels: 1 }), 'Expected 3 for num_channels'],
  ])('of an unsupported model %#', async (edit, message) => {
    await expectConfigRefusal(edit, 'MODEL_UNSUPPORTED', message);
  });

  test.each([
    [
      text({ hidden_size: 0 }),
      'Expected an integer from 1 to 65536 for hidden_size in text_config in config.json, received 0',
    ],
    [text({ hidden_size: 1e12 }), 'received 1000000000000'],
    [text({ hidden_size: '96' }), 'received "96"'],
    [
      text({ num_hidden_layers: 1e9 }),
      'Expected an integer from 1 to 1024 for num_hidden_layers in text_config',
    ],
    [text({ num_attention_heads: 5 }), 'Expected a divisor of hidden_size (96) for num_attention_heads'],
    [
      text({ num_attention_heads: 96, num_key_value_heads: 96 }),
      'Expected an even multiple of num_attention_heads',
    ],
    [
      text({ num_key_value_heads: 2 }),
      'Expected a divisor of num_attention_heads (3) for num_key_value_heads',
    ],
    [text({ initial_tokenizer_len: 641 }), 'Expected an integer from 1 to 640 for initial_tokenizer_len'],
    [text({ rms_norm_eps: 0 }), 'Expected a number above 0 and up to 1 for rms_norm_eps'],
    [text({ rms_norm_eps: 1e-60 }), 'for rms_norm_eps in text_config in config.json, received 1e-60'],
    [text({ rope_theta: -1 }), 'for rope_theta in text_config in config.json, received -1'],
    [text({ sliding_window: 2.5 }), 'for sliding_window in text_config in config.json, received 2.5'],
    [vision({ patch_size: 77 }), 'Expected an integer from 1 to 76 for patch_size in vision_encoder_config'],
    [vision({ num_attention_heads: 7 }), 'Expected a divisor of hidden_size (64) for num_attention_heads'],
    [
      vision({ anyres_grids: [] }),
      'pairs of multiples of image_size (76) with at most 64 tiles each for anyres_grids',
    ],
    [vision({ anyres_grids: [[76, 100]] }), 'received [[76,100]]'],
    [vision({ anyres_grids: [[7600, 76]] }), 'received [[7600,76]]'],
    [vision({ anyres_grids: [[76]] }), 'received [[76]]'],
    [
      resampler({ vis_feature_dim: 65 }),
      'Expected 64 (the hidden_size of vision_encoder_config) for vis_feature_dim',
    ],
    [
      resampler({ lang_embedding_dim: 95 }),
      'Expected 96 (the hidden_size of text_config) for lang_embedding_dim',
    ],
    [resampler({ dim_head: 65536 }), 'Expected an integer from 1 to 32768 for dim_head'],
    [
      (config: Sections) => Object.assign(config, { text_config: [] }),
      'Expected an object for text_config in config.json',
    ],
  ])('with absurd values %#', async (edit, message) => {
    await expectConfigRefusal(edit, 'MODEL_INVALID', message);
  });
});

#include "engine/engine.h"

#include <algorithm>
#include <new>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/pace.h"
#include "engine/generate_task.h"
#include "engine/logits_task.h"

namespace xgenmm {

namespace {

// About how long a step may take: when somebody is waiting for what comes after, and when not (it
// is aborted when its request is cancelled).
constexpr double kSharedStepMs = 200;
constexpr double kAloneStepMs = 1000;
// How long new requests may be looked at between two steps.
constexpr double kAdmissionMs = 20;
// Positions of a prompt: where nothing was measured yet, or one takes as long as a step may. When
// nobody is waiting it begins with more, since reading the weights is what the first ones cost.
constexpr int kLeastChunk = 1;
constexpr int kLeastChunkAlone = 32;

event::Failed failure(std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return {ErrorCode::kOutOfMemory, "memory ran out"};
  } catch (const std::exception& error) {
    return {ErrorCode::kInternal, error.what()};
  } catch (...) {
    return {ErrorCode::kInternal, "an unknown exception"};
  }
}

event::Loaded describe(const Model& model) {
  const ModelIdentity& identity = model.identity();
  std::optional<ImageMode> image_mode;
  if (model.vision() != nullptr) image_mode = model.vision()->config().image_mode;
  return {identity.variant,
          identity.name,
          image_mode,
          identity.image_separator,
          model.tokenizer().vocabulary().style,
          model.context_size(),
          model.text_config().vocab_size,
          model.text_config().width,
          model.device_name(),
          model.gpu_layers(),
          model.vision_device_name(),
          ggml_type_name(model.kv_type()),
          model.cpu().threads()};
}

// glibc keeps much of what a model has freed for the next one, which may never come.
void return_free_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

struct LoadCancelled {};

}  // namespace

Engine::Engine(LoadOptions options, EventSink sink)
    : options_(std::move(options)), sink_(std::move(sink)) {
  thread_ = std::thread([this] { run(); });
}

Engine::~Engine() {
  stop();
  join();
}

void Engine::submit(RequestId id, Request request) {
  Job job{};
  if (auto* encode = std::get_if<EncodeRequest>(&request)) {
    job.encode = std::make_shared<EncodeTask>(id, *encode, sink_);
  } else if (auto* generate = std::get_if<GenerateRequest>(&request)) {
    job.text = std::make_shared<GenerateTask>(id, std::move(*generate), sink_);
  } else {
    job.text = std::make_shared<LogitsTask>(id, std::get<LogitsRequest>(std::move(request)), sink_);
  }
  std::optional<event::Failed> refused;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) {
      refused = {ErrorCode::kDisposed, "the model was disposed"};
    } else if (open_.size() >= kMaxOpen) {
      refused = {ErrorCode::kBusy, "expected at most " + std::to_string(kMaxOpen) +
                                       " open requests, received one more"};
    } else {
      job.id = ++arrivals_;
      open_[id] = job.encode != nullptr ? std::static_pointer_cast<Task>(job.encode) : job.text;
      queue_.push_back(std::move(job));
    }
  }
  if (refused) {
    sink_({id, std::move(*refused)});
  } else {
    wake_.notify_one();
  }
}

void Engine::cancel(RequestId id) {
  if (id == 0) {
    load_cancelled_ = true;
    return;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  Task& task = *found->second;
  task.cancelled = true;
  if (std::find(current_.begin(), current_.end(), &task) != current_.end()) return;
  // Nothing is being computed for it, so it need not wait until what is being computed lets go.
  task.ended = true;
  task.finish_cancelled();
  open_.erase(found);
}

void Engine::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
}

void Engine::join() {
  if (thread_.joinable()) thread_.join();
}

void Engine::run() {
  if (load()) {
    model_->set_abort([this] {
      return stopping_ || std::all_of(current_.begin(), current_.end(),
                                      [](const Task* task) { return task->cancelled.load(); });
    });
  }
  while (take_requests(jobs_.empty())) {
    admit();
    compute(next_step());
    jobs_.erase(std::remove_if(jobs_.begin(), jobs_.end(), [](const Job& job) { return job.done; }),
                jobs_.end());
  }
  end_all();
  model_view_ = nullptr;
  model_.reset();
  return_free_memory();
  sink_({0, event::Closed{}});
}

bool Engine::load() {
  try {
    model_ = std::make_unique<Model>(options_, [this](double fraction) {
      if (stopping_ || load_cancelled_) throw LoadCancelled{};
      sink_({0, event::Progress{fraction}});
    });
    model_view_ = model_.get();
    sink_({0, describe(*model_)});
    return true;
  } catch (const LoadCancelled&) {
    if (load_cancelled_) {
      sink_({0, event::Cancelled{}});
    } else {
      sink_(
          {0, event::Failed{ErrorCode::kDisposed, "the model was disposed while it was loading"}});
    }
  } catch (...) {
    sink_({0, failure(std::current_exception())});
  }
  model_.reset();
  return false;
}

bool Engine::take_requests(bool wait) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (wait) wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  for (Job& job : queue_) jobs_.push_back(std::move(job));
  queue_.clear();
  for (Job& job : jobs_) job.done = job.task().ended;
  return !stopping_;
}

template <typename Work>
void Engine::with(std::vector<Job*> jobs, Work work) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (Job* job : jobs) {
      job->done = job->task().ended;
      if (!job->done) current_.push_back(&job->task());
    }
  }
  jobs.erase(std::remove_if(jobs.begin(), jobs.end(), [](Job* job) { return job->done; }),
             jobs.end());
  try {
    if (!jobs.empty()) work(jobs);
    for (Job* job : jobs) {
      if (job->done || !job->task().cancelled) continue;
      job->task().finish_cancelled();
      job->done = true;
    }
  } catch (...) {
    for (Job* job : jobs) {
      if (job->done) continue;
      sink_({job->task().id(), failure(std::current_exception())});
      job->done = true;
    }
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  current_.clear();
  for (Job* job : jobs) {
    if (job->done) open_.erase(job->task().id());
  }
}

void Engine::admit() {
  const Stopwatch stopwatch;
  for (Job& job : jobs_) {
    if (job.done) continue;
    with({&job}, [&](const std::vector<Job*>&) {
      if (model_ == nullptr) throw Error(ErrorCode::kDisposed, "the model is not loaded");
      if (job.text == nullptr) return;
      const Sequence& sequence = job.text->sequence();
      while (sequence.stage() == Sequence::Stage::kNew && stopwatch.ms() < kAdmissionMs)
        job.text->prepare(*model_);
      if (sequence.stage() == Sequence::Stage::kWaiting) job.text->sequence().take_slot(*model_);
    });
  }
}

Scheduler::Step Engine::next_step() {
  std::vector<Scheduler::Candidate> candidates;
  for (const Job& job : jobs_) {
    Scheduler::Want want = Scheduler::Want::kNothing;
    if (job.done) {
    } else if (job.encode != nullptr) {
      want = Scheduler::Want::kEncode;
    } else if (job.text->sequence().stage() == Sequence::Stage::kPrefill) {
      want = Scheduler::Want::kPrefill;
    } else if (job.text->sequence().stage() == Sequence::Stage::kDecode) {
      want = Scheduler::Want::kDecode;
    }
    candidates.push_back({job.id, want});
  }
  return scheduler_.next(candidates);
}

void Engine::compute(const Scheduler::Step& step) {
  if (step.encode) {
    Job& job = jobs_[*step.encode];
    with({&job},
         [&](const std::vector<Job*>&) { job.done = job.encode->step(*model_, kSharedStepMs); });
  } else {
    compute_text(step);
  }
}

void Engine::compute_text(const Scheduler::Step& step) {
  std::vector<Job*> jobs;
  for (const size_t index : step.decode) jobs.push_back(&jobs_[index]);
  if (step.prefill) jobs.push_back(&jobs_[*step.prefill]);
  with(jobs, [&](const std::vector<Job*>& live) {
    const Stopwatch stopwatch;
    Pace& pace = model_->prefill_pace();
    const double budget_ms = step.shared ? kSharedStepMs : kAloneStepMs;
    const int least = step.shared ? kLeastChunk : kLeastChunkAlone;
    // A step that reads a prompt has no column to give away.
    const int drafted = step.prefill ? 0 : draft(live, budget_ms);
    std::vector<Continuation> parts;
    int columns = 0;
    bool reads = false, reads_rest = false;
    bool wants_hidden = false;
    for (const Job* job : live) {
      const Sequence& sequence = job->text->sequence();
      const int room =
          std::max(pace.units(budget_ms, least, Phi3::kMaxChunk) - columns, kLeastChunk);
      parts.push_back(sequence.next_part(room));
      columns += parts.back().count;
      if (sequence.stage() == Sequence::Stage::kPrefill) {
        reads = true;
        reads_rest = parts.back().count < room;
      }
      wants_hidden = wants_hidden || (parts.back().outputs > 0 && job->text->wants_hidden());
    }
    std::vector<float> logits, hidden;
    if (!model_->text().forward(parts, logits, nullptr, wants_hidden ? &hidden : nullptr)) return;
    const double ms = stopwatch.ms();
    if (reads) pace.record(columns, ms, reads_rest);
    if (!step.prefill) model_->draft_policy().record(drafted, ms);
    const TextConfig& config = model_->text_config();
    TextTask::Rows rows{logits.data(), wants_hidden ? hidden.data() : nullptr, 0};
    for (size_t i = 0; i < live.size(); ++i) {
      Job& job = *live[i];
      rows.count = parts[i].outputs;
      try {
        if (!job.task().cancelled) job.done = job.text->accept(*model_, rows, ms);
      } catch (...) {
        // What is wrong with one answer is nothing to the others.
        sink_({job.task().id(), failure(std::current_exception())});
        job.done = true;
      }
      rows.logits += std::ptrdiff_t{rows.count} * config.vocab_size;
      if (wants_hidden)
        rows.hidden += std::ptrdiff_t{rows.count} * (config.layers + 1) * config.width;
    }
  });
}

int Engine::draft(const std::vector<Job*>& jobs, double most_ms) {
  // More would not be in the graph that was reserved.
  constexpr int kMost = Phi3::kMaxOutputs - 1;
  std::vector<DraftPolicy::Candidate> candidates;
  std::vector<const Drafter*> drafters;
  for (const Job* job : jobs) {
    drafters.push_back(job->text->guess(*model_));
    candidates.push_back({job->id, {}});
    if (drafters.back() != nullptr) candidates.back().chances = drafters.back()->chances();
  }
  const std::vector<int> lengths = model_->draft_policy().lengths(candidates, kMost, most_ms);
  int drafted = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (lengths[i] == 0) continue;
    jobs[i]->text->sequence().draft(drafters[i]->tokens(), lengths[i]);
    drafted += lengths[i];
  }
  return drafted;
}

void Engine::end_all() {
  std::unordered_map<RequestId, std::shared_ptr<Task>> open;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    open.swap(open_);
    queue_.clear();
  }
  for (const auto& [id, task] : open) {
    sink_({id, event::Failed{ErrorCode::kDisposed, "the model was disposed"}});
  }
  // Tasks hold KV slots: they go before the model.
  open.clear();
  jobs_.clear();
}

}  // namespace xgenmm

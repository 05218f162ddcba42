#include "engine/engine.h"

#include <new>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace xgenmm {

namespace {

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
          model.device().name(),
          ggml_type_name(model.kv_type()),
          model.device().threads()};
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
  auto task = make_task(id, std::move(request), sink_);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!stopping_) {
      queue_.push_back(task);
      open_[id] = std::move(task);
    }
  }
  if (task == nullptr) {
    wake_.notify_one();
  } else {
    sink_({id, event::Failed{ErrorCode::kDisposed, "the model was disposed"}});
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
  if (&task == current_) return;
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
    model_->device().set_abort(
        [this] { return stopping_ || (current_ != nullptr && current_->cancelled); });
  }
  bool idle = true;
  while (take_requests(idle)) {
    // One step for each task in turn; tasks that wait for a slot or for the image encoder are
    // passed over.
    idle = true;
    bool encoding = false;
    const size_t count = tasks_.size();
    for (size_t i = 0; i < count && !stopping_; ++i) {
      const std::shared_ptr<Task> task = tasks_.front();
      tasks_.pop_front();
      const bool encodes = task->encodes() && !task->cancelled;
      if ((encodes && encoding) || !step(*task, count == 1)) tasks_.push_back(task);
      encoding = encoding || encodes;
    }
    idle = tasks_.empty();
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
  for (auto& task : queue_) tasks_.push_back(std::move(task));
  queue_.clear();
  return !stopping_;
}

bool Engine::step(Task& task, bool alone) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (task.ended) return true;
    current_ = &task;
  }
  bool done = true;
  try {
    if (task.cancelled) {
      task.finish_cancelled();
    } else if (model_ == nullptr) {
      throw Error(ErrorCode::kDisposed, "the model is not loaded");
    } else {
      done = task.step(*model_, alone) == Task::Progress::kDone;
    }
  } catch (...) {
    sink_({task.id(), failure(std::current_exception())});
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  current_ = nullptr;
  if (done) open_.erase(task.id());
  return done;
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
  tasks_.clear();
}

}  // namespace xgenmm
